import type { ErrorCode } from "../../lib/errors.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import type { FlowAddress } from "./conntrack-message.ts";
import type { SetLayout } from "./element-columns.ts";
import type { ChainName } from "./filter-listing.ts";
import type { Skeleton } from "./skeleton.ts";

/** What the controller's thread asks of the thread that talks to the kernel, and what that answers. */
export interface Calls {
  identify: { request: Record<string, never>; reply: Identity };
  /** Null: there is no such table. */
  observe: { request: { table: string; sets: readonly SetLayout[] }; reply: TableObservation | null };
  apply: { request: ApplyRequest; reply: ApplyReply };
  /** What `apply` would answer, with nothing committed and no flow ended. */
  rehearse: { request: ApplyRequest; reply: ApplyReply };
  /** Makes or removes the anchor. */
  anchor: { request: { table: string; skeleton: Skeleton | null }; reply: AnchorReply };
  /** All tables whose name begins like ours. */
  tables: { request: Record<string, never>; reply: readonly OwnedTable[] };
  /** Chains of all tables that are not dormant, without their rules. */
  chains: { request: Record<string, never>; reply: readonly FilterChain[] };
  /** One chain with its rules; null if it is gone. */
  chain: { request: ChainName; reply: FilterChain | null };
  /** One transaction in nft's language. */
  transact: { request: { commands: string }; reply: ReconcileError | null };
}

export type CallName = keyof Calls;

export interface Identity {
  readonly library: "libnftables" | "nft";
  /** As the kernel names the committing thread in notifications. */
  readonly thread: number;
}

export interface AnchorReply {
  readonly error: ReconcileError | null;
  /** Netlink port of the socket that holds it now. */
  readonly owner: number | null;
}

export interface OwnedTable {
  readonly table: string;
  /** Null: the mark is missing. */
  readonly instanceId: string | null;
  /** Netlink port of the socket it lives with; null: it outlives them all. */
  readonly owner: number | null;
}

export interface TableObservation extends OwnedTable {
  /** Fingerprint of everything but the elements. */
  readonly shape: string;
  /** `ElementColumns`. */
  readonly elements: Uint32Array;
  /** Elements that no row can be. */
  readonly strays: number;
}

export interface ApplyRequest extends TableChange {
  readonly table: string;
  readonly sets: readonly SetLayout[];
  /** Look first whether the table still bears this mark; null where nobody else can have changed it. */
  readonly instanceId: string | null;
}

/** One transaction, and the live flows that are to be judged after it. */
export interface TableChange {
  readonly skeleton: Skeleton | "remove" | null;
  /** `ElementColumns`, and for each an index into OPERATIONS. */
  readonly elements: Uint32Array;
  readonly operations: Uint8Array;
  /** External ports whose live flows are refused after the transaction, unless they are forwarded again. */
  readonly severedPorts: readonly ExternalPorts[];
  /** Addresses whose NATed flows all end. */
  readonly lost: readonly number[];
}

/** External ports whose live flows must be looked at after a transaction. */
export interface ExternalPorts {
  readonly address: FlowAddress;
  /** 0 with `address` alone: every NATed flow of an address that is no longer ours. */
  readonly protocol: number;
  readonly firstPort: number;
  readonly lastPort: number;
}

export interface ApplyReply {
  readonly skeletonError: ReconcileError | null;
  /** The shape this skeleton has in the kernel; null when none was written, or others interfered. */
  readonly shape: string | null;
  readonly refused: readonly Refused[];
  readonly flowsError: ReconcileError | null;
}

/** `index` of an element in the request. */
export interface Refused {
  readonly index: number;
  readonly error: ReconcileError;
}

export interface CallMessage {
  readonly id: number;
  readonly name: CallName;
  readonly request: unknown;
}

export type ReplyMessage = { readonly id: number } & (
  | { readonly ok: true; readonly reply: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly transient: boolean }
);
