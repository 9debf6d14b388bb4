import type { DnsKeyDocument, ExplainedAnswer, QueriesDocument } from "./schemas/dns.ts";
import type { Seq } from "../events/envelope.ts";
import type { PortreeveRecord } from "../events/index.ts";
import type { LogHead } from "../events/log.ts";
import type { Secret } from "../events/secret.ts";
import type { SecretStore } from "../events/secrets.ts";
import type { Snapshot, SnapshotHeader } from "../events/snapshot.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../lib/metrics.ts";
import type { PeerActivitySource } from "../lib/peer-activity.ts";
import type { RequestLog } from "../lib/request-log.ts";
import type { Reconciler, RowRefusal } from "../reconcilers/contract.ts";
import type { Finding } from "../reducers/doctor/finding.ts";
import type { Change } from "../reducers/decide/undo.ts";
import type { DesiredTable } from "../reducers/select/desired.ts";
import type { Profile } from "../events/device.ts";
import type { KnownRoute } from "../reducers/decide/subnet.ts";
import type { Device, Mapping, State } from "../reducers/state.ts";
import type { LogCheck, SnapshotCheck } from "./schemas/history.ts";

/** Everything the API knows of the program. */
export interface ApiDeps {
  readonly controller: ControllerPort;
  readonly clock: Pick<Clock, "now">;
  /** Unix milliseconds as the rest of the world counts them: for codes and certificates, which others check. */
  wallClock(): number;
  readonly reconcilers: readonly Reconciler[];
  readonly desired: readonly DesiredSource[];
  readonly history: History;
  readonly snapshots: Snapshots;
  readonly answers: Answers;
  readonly secrets: SecretStore;
  readonly tunnel: Tunnel;
  readonly names: Names;
  readonly requestLog: RequestLog;
  readonly metrics: Metrics;
  readonly info: Info;
  readonly log: ApiLog;
  readiness(): Readiness;
  /** Whether there is a HAProxy, which leads TLS names to their hosts. */
  sharesPorts(): boolean;
  /** Connections that HAProxy led, by row key of `sni-routes`; of those that had any. */
  routeHits(): Promise<ReadonlyMap<string, { readonly total: number; readonly open: number }>>;
  /** Looks at everything, other firewalls too. */
  doctor(): Promise<readonly Finding[]>;
}

/**
 * What a reconciler is asked to do, for any state. A selector of its own, not the reconciler's: the API selects from
 * previews and from the past, and a selector remembers only its last state.
 */
export interface DesiredSource {
  /** Name of the reconciler. */
  readonly reconciler: string;
  readonly select: (state: State) => DesiredTable<unknown>;
  /** Keys of the rows that a mapping may own in that table, now or before: more than there are is fine. */
  readonly keysOf: (state: State, mapping: Mapping) => Iterable<string>;
  /** What the target itself says to the rows of a state, without anything being changed: those it would refuse. */
  readonly rehearse?: (state: State) => Promise<readonly RowRefusal[] | undefined>;
}

/** Keys and secret ids of a device, sealed already. */
export interface DeviceKeys {
  readonly publicKey: string;
  readonly privateKeySecret: string | null;
  readonly presharedKeySecret: string;
}

/** What a device brings of its own: the rest is made. */
export interface KeyWish {
  readonly publicKey: string | null;
  readonly privateKey?: Secret | null;
  readonly presharedKey?: Secret | null;
}

export interface DeviceConfigText {
  readonly text: string;
  /** SVG of the same text. */
  readonly qr: string;
  readonly notes: readonly string[];
}

/** What the API needs of WireGuard. Secrets pass through it into the one answer that is made for them. */
export interface Tunnel {
  readonly activity: PeerActivitySource;
  /** Makes and seals what devices need, durable together: no key pair for one that brings its public key. */
  sealKeys(wishes: readonly KeyWish[]): Promise<DeviceKeys[]>;
  /** Of a private key in base64. */
  publicKeyOf(privateKey: Secret): string;
  /** Rejects with NOT_READY while there is no endpoint to name. `endpoint`: instead of the configured one. */
  configOf(device: Device, options: { profile: Profile; endpoint: string | null }): Promise<DeviceConfigText>;
  /** IPv4 routes of the machine, for the check that a new subnet hides none. */
  routes(): Promise<readonly KnownRoute[]>;
}

/** What the API needs of the DNS. */
export interface Names {
  /** Type and value in the one form that they are kept in. Throws a `PortreeveError` where they are none. */
  canonical(type: string, value: string): { readonly type: string; readonly value: string };
  /** For a device on a LAN. */
  newKey(): Secret;
  /** The key that its updates are signed with, for the one answer that shows it. */
  keyOf(device: Device): Promise<DnsKeyDocument>;
  /** What a client of a view would be answered, and why. Rejects with UNAVAILABLE where nobody is served. */
  ask(view: string, name: string, type: string): Promise<ExplainedAnswer>;
  /** The last ones, while they are logged. */
  queries(): QueriesDocument;
}

/** The past, read from the log. Rejects with a `PortreeveError` where the log cannot be read. */
export interface History {
  readonly head: LogHead;
  /** The last record that has left the log for the archive. */
  readonly base: LogHead;
  /** The seq after which every record can be read. */
  readableAfter(): Promise<Seq>;
  /** Oldest first, from `after` + 1 to `to`, chain verified. */
  records(after: Seq, to?: Seq): AsyncIterable<PortreeveRecord>;
  record(seq: Seq): Promise<PortreeveRecord | undefined>;
  /** The fold of the log up to and including `seq`. */
  stateAt(seq: Seq): Promise<State>;
  /** What the request of a record logged, with what is needed to take it back. */
  change(seq: Seq): Promise<Change>;
  /** A record of the last change of an operator; null: none is in the log any more. */
  lastOfOperator(): Promise<Seq | null>;
  /** Reads everything; what is wrong is in the answer, not an exception. */
  verify(): Promise<LogCheck>;
}

export interface Snapshots {
  /** Newest first. */
  list(): Promise<readonly SnapshotHeader[]>;
  read(seq: Seq): Promise<Snapshot | undefined>;
  /** Saves the state as it is now. */
  create(): Promise<SnapshotHeader>;
  /** Folds the log from its first record to `seq` and compares. */
  verify(seq: Seq): Promise<SnapshotCheck>;
}

export interface Answers {
  /** The outcome the log remembers for a request id; undefined if there is none. */
  get(requestId: string): Promise<unknown>;
}

export interface Info {
  readonly version: string;
  readonly instanceId: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** What is bound now: "pcp lan0 192.168.7.1:5351", "api 127.0.0.1:8351". */
  readonly sockets: readonly string[];
  readonly log: LogCondition;
  /** What an operator should know: a sysctl that could not be set, configuration that does nothing yet. Sentences. */
  readonly warnings: readonly string[];
}

/** How far the check of the whole log has come that every start makes beside its work. */
export interface LogVerification {
  readonly state: "running" | "ok" | "damaged" | "failed";
  readonly through: Seq;
  readonly message: string;
}

export interface LogCondition {
  /** What is wrong with the log and which command mends it, while in safe mode. */
  readonly fault: LogProblem | null;
  /** Null while there is no log to check. */
  readonly verification: LogVerification | null;
}

export interface LogProblem {
  readonly code: string;
  readonly seq: Seq;
  readonly message: string;
  readonly next: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not, or what is degraded: sentences. */
  readonly reasons: readonly string[];
}

/** The part of a pino logger that is needed. */
export interface ApiLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
