import type { DnsRecordText, DnsUpdate } from "../../lib/dns-record.ts";
import type { DnsNameRow, DnsSerialRow, DnsViewRow, DnsZoneRow } from "../../lib/dns-row.ts";
import type { ErrorCode } from "../../lib/errors.ts";

/** What the two sides of the DNS server tell each other: the daemon's thread decides, the worker's answers. */

/** An address of a view, with a UDP and a TCP socket. */
export interface DnsListener {
  readonly view: string;
  readonly interface: string;
  readonly address: string;
  readonly port: number;
  /** An interface that comes back has another: its old sockets hear nothing any more. */
  readonly ifindex: number;
}

export const listenerKey = ({ view, interface: served, address, port, ifindex }: DnsListener): string =>
  `${view} ${served} ${address} ${port} ${ifindex}`;

/** A device's keys, made of its secret: the secret itself stays on the other side. */
export interface KeysRow {
  readonly kind: "keys";
  readonly device: string;
  readonly view: string;
  readonly sources: readonly string[];
  readonly keys: readonly { readonly name: string; readonly secret: Uint8Array }[];
}

export type ServedRow = DnsNameRow | DnsZoneRow | DnsSerialRow | DnsViewRow | KeysRow;

/** What the worker is started with. */
export interface WorkerSettings {
  readonly upstreams: "system" | readonly string[];
  readonly rebindingAllow: readonly string[];
}

/** An UPDATE that is well formed and, unless `signed` is false, proven to be its device's. */
export interface UpdateRequest {
  readonly device: string;
  readonly interface: string;
  readonly source: string;
  readonly signed: boolean;
  /** Its sender takes addresses away in one message and adds them in the next, as StartOS does. */
  readonly inPairs: boolean;
  /** Hexadecimal, with the key's name: what tells a repetition; null if it is not signed. */
  readonly signature: string | null;
  /** Seconds since 1970, as the device has it; 0 if it is not signed. */
  readonly timeSigned: number;
  readonly update: DnsUpdate;
}

/** What an UPDATE is answered. `stale`: it may be a replay of one that was answered before this process began. */
export type Verdict =
  | {
      readonly kind: "answer";
      readonly rcode: number;
      readonly lease: number | null;
      readonly message: string;
      /** Nothing came of it, for a trouble of ours: the same octets may be tried again. */
      readonly undecided?: boolean;
    }
  | { readonly kind: "stale" };

/** For `dns ask`: what a client of a view would be answered, and why. */
export interface Explanation {
  readonly view: string;
  readonly decision: "zone" | "local" | "cached" | "forwarded" | "blocked" | "failed";
  readonly why: string;
  /** Of the zone that answers; null if none of ours does. */
  readonly zone: string | null;
  readonly rcode: string;
  readonly answers: readonly DnsRecordText[];
  readonly durationMs: number;
}

/** A query and what came of it: kept in memory only, and only if somebody asked for it. */
export interface QueryEntry {
  /** Unix milliseconds. */
  readonly at: number;
  readonly view: string;
  readonly from: string;
  readonly transport: "udp" | "tcp";
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly durationMs: number;
}

/** Since the last time they were told. */
export type Counts = Readonly<Record<string, number>>;

export interface ListenFault {
  readonly listener: DnsListener;
  readonly code: ErrorCode;
  readonly message: string;
}

export type ToWorker =
  | {
      readonly kind: "rows";
      readonly id: number;
      readonly set: readonly ServedRow[];
      readonly remove: readonly string[];
    }
  | { readonly kind: "listen"; readonly id: number; readonly listeners: readonly DnsListener[] }
  | { readonly kind: "verdict"; readonly id: number; readonly verdict: Verdict }
  | { readonly kind: "ask"; readonly id: number; readonly view: string; readonly name: string; readonly type: string }
  | { readonly kind: "log-queries"; readonly on: boolean }
  | { readonly kind: "close" };

export type FromWorker =
  | {
      readonly kind: "applied";
      readonly id: number;
      readonly refused: readonly { readonly key: string; readonly message: string }[];
    }
  | { readonly kind: "listening"; readonly id: number; readonly faults: readonly ListenFault[] }
  | { readonly kind: "lost"; readonly listener: DnsListener; readonly message: string }
  | { readonly kind: "updates"; readonly updates: readonly { readonly id: number; readonly request: UpdateRequest }[] }
  | { readonly kind: "asked"; readonly id: number; readonly explanation: Explanation }
  | { readonly kind: "counted"; readonly counts: Counts }
  | { readonly kind: "queried"; readonly entries: readonly QueryEntry[] }
  | { readonly kind: "warned"; readonly message: string; readonly fields: Readonly<Record<string, unknown>> };
