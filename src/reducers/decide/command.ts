import type { Seq } from "../../events/envelope.ts";
import type { TokenScope } from "../../events/account.ts";
import type { PortreeveEvent } from "../../events/index.ts";
import type { RouteGateway, Transport } from "../../events/fields.ts";
import type { Settings } from "../../events/settings.ts";
import type { ErrorCode } from "../../lib/errors.ts";
import type { DeclarationCommand } from "./declaration.ts";
import type { Mapping } from "../state.ts";
import type { DeviceCommand } from "./device.ts";
import type { PortCommand } from "./port-batch.ts";
import type { SubnetCommand } from "./subnet.ts";
import type { Change } from "./undo.ts";

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
}

/** A device asks for a port by PCP MAP or NAT-PMP. Lifetime 0 is `UnmapRequest`. */
export interface MapRequest {
  readonly type: "map";
  readonly by: "pcp" | "natpmp";
  /** Served interface the datagram came in on. */
  readonly interface: string;
  /** Source address of the datagram: a device maps only to itself. */
  readonly device: string;
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
}

export type Command =
  | SubnetCommand
  | DeviceCommand
  | DeclarationCommand
  | MapRequest
  | UnmapRequest
  /** The target refused what was promised: ends that claim. */
  | { readonly type: "withdraw"; readonly mappingId: string; readonly claimKey: string }
  | {
      readonly type: "port.add";
      readonly protocol: Transport;
      readonly externalPort: number;
      readonly count: number;
      readonly internalAddress: string;
      readonly internalPort: number;
      readonly label: string | null;
      readonly enabled: boolean;
      /** Seconds; null: no end. */
      readonly lifetime: number | null;
      /** Null: the preferred WAN. */
      readonly wan: string | null;
      /** The declaration that it is of. */
      readonly managedBy?: string;
      /** What the host sees of visitors; null: chosen by its profile. */
      readonly sourceAddress: Mapping["sourceAddress"];
      /** The only networks it is reached from; empty: everywhere. */
      readonly from: readonly string[];
    }
  | {
      readonly type: "port.edit";
      readonly id: string;
      readonly externalPort?: number;
      readonly internalAddress?: string;
      readonly internalPort?: number;
      readonly count?: number;
      readonly label?: string | null;
      readonly enabled?: boolean;
      readonly sourceAddress?: Mapping["sourceAddress"];
      readonly from?: readonly string[];
      readonly lifetime?: number | null;
    }
  | { readonly type: "port.remove"; readonly id: string }
  | { readonly type: "port.keep"; readonly id: string }
  /** Ends its claims and refuses further asking for it. */
  | { readonly type: "port.block"; readonly id: string }
  | {
      readonly type: "port.unblock";
      readonly device: string;
      readonly protocol: Transport;
      readonly internalPort: number;
    }
  /** Several of those, as one change. */
  | { readonly type: "port.batch"; readonly changes: readonly PortCommand[] }
  | {
      readonly type: "interface.observe";
      readonly name: string;
      readonly up: boolean;
      readonly addresses: readonly string[];
      readonly gateway: RouteGateway | null;
    }
  | { readonly type: "interface.lose"; readonly name: string }
  | {
      readonly type: "listeners.observe";
      readonly listeners: readonly { readonly protocol: Transport; readonly port: number }[];
    }
  | { readonly type: "settings.set"; readonly settings: Settings }
  | {
      readonly type: "controller.start";
      readonly version: string;
      readonly instanceId: string;
      readonly bootId: string;
      readonly uptimeMs: number;
      /** The log ends with an epoch reset that was made while nobody was served: clients were told nothing since. */
      readonly epochsRestarted: boolean;
    }
  | { readonly type: "controller.stop" }
  | { readonly type: "instance.take-over"; readonly from: string }
  /** Ends every claim whose deadline (with renewals in memory) has passed. */
  | { readonly type: "leases.expire" }
  /** Writes the deadlines that moved by more than a quarter of their lifetime, and the time after a long silence. */
  | { readonly type: "leases.checkpoint" }
  | { readonly type: "reconciler.pause"; readonly name: string; readonly until: number }
  | { readonly type: "reconciler.resume"; readonly name: string }
  | { readonly type: "change.revert"; readonly change: Change }
  | { readonly type: "confirmation.give"; readonly id: string }
  /** Its deadline has passed. */
  | { readonly type: "confirmation.lapse"; readonly id: string; readonly change: Change }
  | {
      readonly type: "password.set";
      readonly secretId: string;
      readonly reason: "changed" | "link" | "rehashed";
      /** Secret id of what it rests on, which must still be there: the link, or the password that is stored anew. */
      readonly basis: string | null;
    }
  | { readonly type: "sign-in-link.issue"; readonly secretId: string; readonly expiresAt: number }
  | { readonly type: "totp.enable"; readonly secretId: string }
  | { readonly type: "totp.disable" }
  | {
      readonly type: "token.create";
      readonly id: string;
      readonly name: string;
      readonly scopes: readonly TokenScope[];
      readonly expiresAt: number | null;
      readonly secretId: string;
    }
  | { readonly type: "token.revoke"; readonly id: string }
  | { readonly type: "authority.create"; readonly certificate: string; readonly secretId: string };

export type CommandType = Command["type"];
export type CommandOf<T extends CommandType> = Extract<Command, { type: T }>;
export type Submission = CommandEnvelope & Command;

/** The live deadline of a claim: the logged one, or where renewals have moved it since. */
export interface Deadlines {
  /** Gateway time in Unix milliseconds; null for a claim without end. */
  deadlineOf(mappingId: string, claimKey: string): number | null;
  /** Claims whose deadline is at or before `now`, oldest first. */
  due(now: number): readonly { readonly mappingId: string; readonly claimKey: string }[];
  /** Claims whose live deadline differs from the logged one: all of them, or only by more than a quarter of the lifetime. */
  moved(all: boolean): readonly { readonly mappingId: string; readonly claimKey: string; readonly expiresAt: number }[];
}

/** A renewal moves a deadline in memory and is acknowledged from there. */
export interface Renewal {
  readonly mappingId: string;
  readonly claimKey: string;
  readonly expiresAt: number;
}

/** What the requester is told; each adapter turns it into its protocol. */
export type Answer =
  | {
      readonly kind: "mapped";
      readonly mappingId: string;
      /** Null: an operator's static mapping, nothing of the requester was stored. */
      readonly claimKey: string | null;
      readonly externalAddress: string;
      readonly externalPort: number;
      /** Seconds from `now`. */
      readonly lifetime: number;
    }
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
