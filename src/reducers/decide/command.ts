import type { Seq } from "../../events/envelope.ts";
import type { PortreeveEvent } from "../../events/index.ts";
import type { PeerFilter } from "../../events/mapping.ts";
import type { ErrorCode } from "../../lib/errors.ts";
import type { Renewal } from "../deadlines.ts";
import type { AccountCommand } from "./account.ts";
import type { ConfirmationCommand } from "./confirmation.ts";
import type { DeclarationCommand } from "./declaration.ts";
import type { DeviceCommand } from "./device.ts";
import type { DnsCommand } from "./dns-record.ts";
import type { PortCommand } from "./port.ts";
import type { PortBatch } from "./port-batch.ts";
import type { SubnetCommand } from "./subnet.ts";
import type { SystemCommand } from "./system.ts";
import type { UndoCommand } from "./undo.ts";
import type { UpnpCommand } from "./upnp.ts";
import type { UpnpPinholeCommand } from "./upnp-pinhole.ts";

/** What every command carries, so that deciding needs no clock and no randomness. */
export interface CommandEnvelope {
  /** Gateway time, Unix milliseconds. */
  readonly now: number;
  readonly source: string;
  /** For HTTP the Idempotency-Key or one made for it; for datagrams one made at reception. */
  readonly requestId: string;
  /** 32 random bits: choice of a free external port. */
  readonly entropy: number;
  /** The caller's view of the log: refused with LOG_REVISION_CONFLICT if it has moved on. */
  readonly ifSeq?: Seq;
  /** Seconds after which the change is reverted unless somebody confirms it. */
  readonly confirmWithin?: number;
  /** False: HAProxy is missing, so that no TLS name can be led anywhere. */
  readonly sharesPorts?: boolean;
}

/** A device asks for a port by PCP MAP or NAT-PMP. Lifetime 0 is `UnmapRequest`. */
export interface MapRequest {
  readonly type: "map";
  readonly by: "pcp" | "natpmp";
  /** Served interface the datagram came in on. */
  readonly interface: string;
  /** Source address of the datagram: a device maps only to itself. */
  readonly device: string;
  /** Of an IPv6 address on a LAN: the IPv4 address that the same station has there; null: none is known. */
  readonly host?: string | null;
  readonly clientPort: number;
  /** IANA protocol number as asked; others than 6 and 17 are refused. */
  readonly protocol: number;
  /** 0 asks for all ports and is refused. */
  readonly internalPort: number;
  /** 0: no preference. */
  readonly suggestedPort: number;
  /** Null: no preference. */
  readonly suggestedAddress: string | null;
  /** Seconds asked for. */
  readonly lifetime: number;
  /** Hex; null for NAT-PMP. */
  readonly nonce: string | null;
  readonly preferFailure: boolean;
  /** Changes of who may reach it, in their order: "clear" drops those before. None: it stays as it is. */
  readonly filters: readonly (PeerFilter | "clear")[];
  /** As many consecutive ports from the internal one on, if they can be had, in one mapping (RFC 7753); null: one. */
  readonly portSet: { readonly size: number; readonly parity: boolean } | null;
  /** TLS names of the external port that are to be led there, as they were written; absent: the port as a whole. */
  readonly names?: readonly string[];
  /** The host that it is for, where that is not the sender (RFC 6887 §13.1). */
  readonly thirdParty?: string;
}

export interface UnmapRequest {
  readonly type: "unmap";
  readonly by: "pcp" | "natpmp";
  readonly interface: string;
  readonly device: string;
  /** 0: all protocols (PCP only). */
  readonly protocol: number;
  /** 0: all ports. */
  readonly internalPort: number;
  readonly nonce: string | null;
  /** Only these TLS names; absent: the port as a whole, and of all ports everything. */
  readonly names?: readonly string[];
  readonly thirdParty?: string;
}

/** What can be asked for; each noun's is beside who decides it. */
export type Command =
  | MapRequest
  | UnmapRequest
  | UpnpCommand
  | UpnpPinholeCommand
  | PortCommand
  | PortBatch
  | SubnetCommand
  | DeviceCommand
  | DeclarationCommand
  | DnsCommand
  | UndoCommand
  | ConfirmationCommand
  | AccountCommand
  | SystemCommand;

export type CommandType = Command["type"];
export type CommandOf<T extends CommandType> = Extract<Command, { type: T }>;
export type Submission = CommandEnvelope & Command;
export type SubmissionOf<T extends CommandType> = CommandEnvelope & CommandOf<T>;

/** What the requester is told; each adapter turns it into its protocol. */
export type Answer =
  | {
      readonly kind: "mapped";
      readonly mappingId: string;
      /** Null: an operator's static mapping, nothing of the requester was stored. */
      readonly claimKey: string | null;
      readonly externalAddress: string;
      /** Of the internal port that was asked about, or the first of `set`. */
      readonly externalPort: number;
      /** Where a set was asked for and there is one: what it has inside. */
      readonly set?: { readonly firstInternalPort: number; readonly count: number };
      /** Further claims of the requester's that the set it asked for touches: renewed with it (RFC 7753 §4.4). */
      readonly touched?: readonly { readonly mappingId: string; readonly claimKey: string }[];
      /** Seconds from `now`. */
      readonly lifetime: number;
      /** Of several names: the other mappings; the lifetime is the shortest. */
      readonly more?: readonly { readonly mappingId: string; readonly claimKey: string | null }[];
    }
  /** A DNS UPDATE was carried out; `lease`: seconds that its records have. */
  | { readonly kind: "updated"; readonly lease: number }
  | { readonly kind: "ids"; readonly ids: readonly string[] }
  /** `kept`: mappings that a request to release all had to leave, because an operator holds them. */
  | { readonly kind: "done"; readonly kept?: readonly string[] };

export type Decision =
  | {
      readonly ok: true;
      readonly events: readonly PortreeveEvent[];
      readonly renewals: readonly Renewal[];
      readonly answer: Answer;
      /** The first record of the change that this one takes back. */
      readonly causedBy?: Seq;
    }
  | { readonly ok: false; readonly refusal: Refusal };

export interface Refusal {
  readonly code: ErrorCode;
  /** What happened, why, and what to do next: a sentence for a person. */
  readonly message: string;
  /** Seconds after which asking again makes sense, where that is known (RFC 6887 §11.3: the mapping's remaining lifetime). */
  readonly retryAfter?: number;
  /** Ids of the mappings that stand in the way. */
  readonly conflicts?: readonly string[];
}

/** What `controller.submit` resolves with: a decision that is durable. */
export type Outcome =
  | {
      readonly ok: true;
      readonly seq: Seq;
      readonly changed: boolean;
      readonly answer: Answer;
      /** Claims that this very request made: the only ones that may be withdrawn on its account. Absent if none. */
      readonly made?: readonly { readonly mappingId: string; readonly claimKey: string }[];
    }
  | { readonly ok: false; readonly refusal: Refusal };
