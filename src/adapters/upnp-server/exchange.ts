import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ListedMapping } from "../../protocols/upnp/port-listing.ts";
import type { DocumentValue } from "../../protocols/upnp/soap.ts";
import type { Deadlines } from "../../reducers/deadlines.ts";
import type { State } from "../../reducers/state.ts";

/** Who asks: one host of a served interface. */
export interface Caller {
  readonly interface: string;
  /** Its address, and so the only one it may map to. */
  readonly device: string;
}

/** So many port mappings, on consecutive ports from those that it names. */
export interface EntryRange extends ListedMapping {
  readonly count: number;
}

/** What the core says of port control's clients. */
export interface Core {
  /** What this client is told is its external address; null while its WAN has none. */
  readonly addressOf: (state: State, caller: Caller) => string | null;
  /** The interface of its WAN; null while there is none. */
  readonly wanOf: (state: State, caller: Caller) => string | null;
  /** The port mappings that it may see: its own, oldest first, whatever asked for them. */
  readonly entriesOf: (state: State, deadlines: Deadlines, caller: Caller, now: number) => readonly EntryRange[];
  readonly firewall: {
    readonly statusOf: (state: State, caller: Caller) => { readonly enabled: boolean; readonly pinholes: boolean };
    readonly pinholeAddress: (state: State, caller: Caller, uniqueId: number) => string | null;
  };
  /** False on a tunnel. */
  readonly hearsMulticast: (state: State, served: string) => boolean;
}

/** A WAN's interface: what it can do, and has done since it is there. */
export interface WanLink {
  readonly up: boolean;
  /** Bits a second; null where the interface does not know. */
  readonly bitsPerSecond: number | null;
  readonly sent: { readonly bytes: number; readonly packets: number };
  readonly received: { readonly bytes: number; readonly packets: number };
}

/** What the services answer from. */
export interface Gateway {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly core: Core;
  readonly readWan: (name: string) => Promise<WanLink | null>;
  /** The IPv4 address of the host that has an IPv6 address on a served interface; null: none is known. */
  readonly ipv4Of: (served: string, address: string) => Promise<string | null>;
  /** Seconds that a flow is remembered for; null: nobody knows. */
  readonly readFlowTimeout: (transport: "tcp" | "udp") => Promise<number | null>;
  /** Gateway time. */
  readonly startedAt: number;
}

/** How an action is answered: its values by name, in the order of its SCPD. */
export type Values = readonly (readonly [name: string, value: string | number | DocumentValue])[];
