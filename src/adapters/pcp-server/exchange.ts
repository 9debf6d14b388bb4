import type { ErrorCode } from "../../lib/errors.ts";
import type { RequestEntry } from "../../lib/request-log.ts";
import type { MapRequest, Outcome, UnmapRequest } from "../../reducers/decide/command.ts";

/** One datagram as it came in. */
export interface Datagram {
  readonly bytes: Uint8Array;
  /** Source: also the host that a mapping is for. */
  readonly address: string;
  readonly port: number;
  /** The served interface it came in on. */
  readonly interface: string;
}

/** What replies depend on besides the datagram. */
export interface Standing {
  /** False: nothing can be promised now (start, safe mode). */
  readonly ready: boolean;
  readonly pcp: boolean;
  readonly natpmp: boolean;
  /** What this client is told; null while its WAN has no address. */
  readonly externalAddress: string | null;
  /** Seconds since the served interface's epoch began: both protocols tell the same. */
  readonly epoch: number;
  /** Whether ports can be shared by TLS server name: only then an ANNOUNCE reply carries option 225. */
  readonly sniAvailable: boolean;
  /** Whether this client is let ask in the place of others: to everyone else THIRD_PARTY is an option not supported. */
  readonly asksForOthers: boolean;
}

export interface Reply {
  readonly bytes: Uint8Array;
  readonly decision: RequestEntry["decision"];
  /** Null unless it is a refusal. */
  readonly code: ErrorCode | null;
  /** What the requester got, or why not. */
  readonly message: string;
}

export type Answer = {
  readonly protocol: "pcp" | "natpmp";
  /** For a person. */
  readonly request: string;
} & (
  | { readonly kind: "drop"; readonly message: string }
  | { readonly kind: "reply"; readonly reply: Reply }
  /** The controller decides; `replyTo` turns what it said into bytes, with the epoch of that later moment. */
  | {
      readonly kind: "ask";
      readonly command: MapRequest | UnmapRequest;
      readonly replyTo: (outcome: Outcome, epoch: number) => Reply;
    }
);

export const NOT_READY = "the gateway is starting or in safe mode and can promise nothing now";

/** "tcp", "udp" or the number. */
export function protocolText(protocol: number): string {
  if (protocol === 6) return "tcp";
  if (protocol === 17) return "udp";
  return protocol === 0 ? "all protocols" : `protocol ${protocol}`;
}

/** A port for a person: 0 asks for all of them inside, and for any outside. */
export const portText = (port: number, zero: "all" | "any"): string => (port === 0 ? zero : String(port));
