import { nameText } from "../lib/domain-name.ts";
import { ownRow } from "../lib/own-row.ts";
import type { PortreeveRecord } from "../events/index.ts";
import { tableGet } from "../lib/table.ts";
import { tokenNamed } from "../reducers/account.ts";
import { deviceNamed } from "../reducers/device.ts";
import { serverNameOf } from "../lib/server-name.ts";
import { foldInto } from "../reducers/fold.ts";
import { forkState } from "../reducers/fork.ts";
import { kindNamed, objectsOf } from "../reducers/objects/index.ts";
import { type Description, type ObjectKind, refOf } from "../reducers/objects/kind.ts";
import { publishedAt } from "../reducers/published-name.ts";
import type { Desired, DesiredTable } from "../reducers/select/desired.ts";
import { type Unanswered, unansweredTo } from "../reducers/unanswered.ts";
import type { State } from "../reducers/state.ts";
import { subnetNamed } from "../reducers/subnet.ts";
import type { ApiDeps, DesiredSource } from "./deps.ts";
import { invalid, notFound } from "./problem.ts";
import { filterRoutes } from "./views/port-filter.ts";

export interface Owner {
  readonly kind: string;
  readonly id: string;
  readonly described: Description;
}

/** What is known of something that is asked about. */
export interface Found {
  readonly kind: string;
  readonly key: string;
  readonly name: string;
  readonly owners: readonly Owner[];
  readonly records: readonly PortreeveRecord[];
  readonly gone: PortreeveRecord | null;
  /** What keeps it from working as it stands. */
  readonly unanswered: readonly Unanswered[];
  /** Rows of reconcilers that it is, or that it owns. */
  readonly rows: readonly { readonly reconciler: string; readonly desired: Desired<unknown> }[];
}

/** Kinds of rows, and the reconcilers that have them. A reconciler's own name does as well. */
const ROW_KINDS: Readonly<Record<string, readonly string[]>> = {
  element: ["nftables-forwards", "nftables-guard"],
  sysctl: ["sysctls"],
  link: ["wireguard"],
  peer: ["wireguard"],
  address: ["routes"],
  route: ["routes", "sni-routes"],
  fallback: ["sni-routes"],
  redirect: ["sni-routes"],
  proxy: ["sni-routes"],
  rule: ["routes"],
  neighbour: ["routes"],
};
/** Tables that are small enough to be looked through for a part of a key. */
const SEARCHED: ReadonlySet<string> = new Set(["sysctls", "wireguard", "routes"]);
/** Rows and records between two turns of the event loop. */
const TURN = 1000;
const RECORDS_MAX = 1000;
/** As much of the past as is folded or looked through while others wait; what is older is not told. */
const LOOKED_AT_MAX = 500_000;

type Deps = Pick<ApiDeps, "controller" | "desired" | "history">;

/** Finds what is asked about: a row of any reconciler, or an object; there now, or in the log's past. */
export async function findWhy(deps: Deps, kind: string, key: string): Promise<Found> {
  const objects = kindNamed(kind);
  if (objects !== undefined) return await findObject(deps, objects, key);
  // A route is a port with a name; what bears that name in the kernel's tables is a prefix.
  if (kind === "route" && key.includes(".") && serverNameOf(key) !== null) {
    return await findObject(deps, kindNamed("port") as ObjectKind, key.toLowerCase());
  }
  const names = ownRow(ROW_KINDS, kind) ?? [kind];
  const sources = deps.desired.filter(({ reconciler }) => names.includes(reconciler));
  if (sources.length === 0) {
    const kinds = [...Object.keys(ROW_KINDS), "port", "device", "subnet", "block", "record"];
    throw invalid(`nothing is of the kind ${kind}; there are ${kinds.join(", ")}`);
  }
  return (await presentRow(deps, sources, kind, key)) ?? (await goneRow(deps, sources, kind, key));
}

async function presentRow(deps: Deps, sources: readonly DesiredSource[], kind: string, key: string) {
  const { state } = deps.controller;
  for (const source of sources) {
    const desired = rowIn(source, source.select(state), kind, key);
    if (desired === undefined) continue;
    const owners = ownersOf(state, desired);
    const asked = await deps.history.record(desired.revision);
    const records = await recordsOf(deps, owners, sinceOf(state, owners, desired.revision));
    const all = new Map([...records, ...(asked === undefined ? [] : [asked])].map((record) => [record.seq, record]));
    const inOrder = [...all.values()].sort((a, b) => a.seq - b.seq);
    const rows = [{ reconciler: source.reconciler, desired }];
    return { kind, key: desired.key, name: desired.key, owners, records: inOrder, gone: null, unanswered: [], rows };
  }
  return null;
}

/** Folds the log again and looks after each record whether the row is there: the one way that knows every target. */
async function goneRow(deps: Deps, sources: readonly DesiredSource[], kind: string, key: string): Promise<Found> {
  const { history } = deps;
  const from = Math.max(await history.readableAfter(), history.head.seq - LOOKED_AT_MAX);
  const state = forkState(await history.stateAt(from));
  let last: { readonly row: Desired<unknown>; readonly owners: readonly Owner[] } | null = null;
  let [records, gone]: [PortreeveRecord[], PortreeveRecord | null] = [[], null];
  let looked = 0;
  for await (const record of history.records(from)) {
    foldInto(state, record);
    // Selectors know a state by its identity.
    const now = { ...state };
    const row = firstRow(sources, now, kind, key);
    if (row === undefined) {
      if (last !== null && gone === null) [gone, records] = [record, [...records, record]];
    } else if (last === null || gone !== null || row.revision !== last.row.revision) {
      records = gone === null ? [...records, record] : [record];
      [last, gone] = [{ row, owners: ownersOf(now, row) }, null];
    }
    looked += 1;
    if (looked % TURN === 0) await nextTurn();
  }
  if (last === null || gone === null) {
    const looked = from === 0 ? "in the whole log" : `after record ${from}`;
    throw notFound(
      `there is no ${kind} ${key}, and ${looked} there was none; \`portreeve why\` takes keys as plans show them`,
    );
  }
  return {
    kind,
    key: last.row.key,
    name: last.row.key,
    owners: last.owners,
    records: records.slice(-RECORDS_MAX),
    gone,
    unanswered: [],
    rows: [],
  };
}

function firstRow(sources: readonly DesiredSource[], state: State, kind: string, key: string) {
  for (const source of sources) {
    const row = rowIn(source, source.select(state), kind, key);
    if (row !== undefined) return row;
  }
  return undefined;
}

/** By its key, by its key without the kind, or, in a small table, by a part of it: "10.59.7.1/24". */
function rowIn({ reconciler }: DesiredSource, table: DesiredTable<unknown>, kind: string, key: string) {
  const exact = table.get(key) ?? table.get(`${kind}|${key}`);
  if (exact !== undefined || !SEARCHED.has(reconciler)) return exact;
  for (const row of table.rows()) {
    const [head, ...parts] = row.key.split("|");
    if (head === kind && parts.includes(key)) return row;
  }
  return undefined;
}

/** A name that the gateway serves though nobody put it there. */
function byItself(state: State, name: string): string | null {
  const [owner] = publishedAt(state, name)?.owners ?? [];
  if (owner === undefined) return null;
  const device = tableGet(state.devices, owner)?.name;
  const follows = device === undefined ? "it follows from an operator's record" : `it is ${device}'s by itself`;
  const then = device === undefined ? "" : `; \`portreeve why device ${device}\` tells of it`;
  return `nobody put ${name} there: ${follows}${then}`;
}

async function findObject(deps: Deps, kind: ObjectKind, text: string): Promise<Found> {
  const { controller } = deps;
  const { state } = controller;
  const present = kind.describe(state, text) === null ? keyNamed(kind, state, text) : text;
  const records = await recordsAboutObject(deps, kind, present ?? text);
  const key = present ?? records.key;
  if (key === null) {
    const why = kind.name === "record" ? byItself(state, text) : null;
    throw notFound(why ?? `there is no ${kind.name} ${text}, and nothing in the log speaks of one`);
  }
  const described = kind.describe(state, key);
  const before = described === null ? await describedBefore(deps, kind, key, records.found) : null;
  const name = described?.name ?? before?.name ?? text;
  const says = described ?? before;
  const device = kind.name === "device" ? tableGet(state.devices, key) : undefined;
  return {
    kind: kind.name,
    key,
    name,
    owners: says === null ? [] : [{ kind: kind.name, id: key, described: says }],
    records: records.found,
    gone: described === null ? (records.found.at(-1) ?? null) : null,
    unanswered: device === undefined ? [] : unansweredTo(state, device),
    rows: described === null ? [] : await rowsOwnedBy(deps, key),
  };
}

/** What it was like before the record that ended it. */
async function describedBefore(
  { history }: Deps,
  kind: ObjectKind,
  key: string,
  records: readonly PortreeveRecord[],
): Promise<Description | null> {
  const last = records.at(-1);
  return last === undefined ? null : kind.describe(await history.stateAt(last.seq - 1), key);
}

function keyNamed(kind: ObjectKind, state: State, text: string): string | null {
  if (kind.name === "device") return deviceNamed(state, text)?.id ?? null;
  if (kind.name === "subnet") return subnetNamed(state, text)?.id ?? null;
  if (kind.name === "token") return tokenNamed(state, text)?.id ?? null;
  if (kind.name === "port" && text.includes(".")) return filterRoutes(state, { name: text })[0]?.id ?? null;
  if (kind.name === "record") return tableGet(state.names, nameText(text) ?? text)?.records[0]?.id ?? null;
  return null;
}

/** The last object that is called so, or has that key, and every record about it. */
async function recordsAboutObject({ history }: Deps, kind: ObjectKind, text: string) {
  const from = Math.max(await history.readableAfter(), history.head.seq - LOOKED_AT_MAX);
  let [key, found]: [string | null, PortreeveRecord[]] = [null, []];
  for await (const record of history.records(from)) {
    for (const each of kind.keysOf(record.event)) {
      if (each !== key && (each === text || isNamed(record, text, each))) [key, found] = [each, []];
      if (each === key) found.push(record);
    }
    if (found.length > RECORDS_MAX) found.splice(1, 1);
  }
  return { key, found };
}

/** "nas"; of ports also "8443/tcp", "11.22.33.1:8443", "8443": what it was when it was made or moved. */
function isNamed({ event: { type, data } }: PortreeveRecord, text: string, key: string): boolean {
  const { name, externalPort, protocol } = data as { name?: unknown; externalPort?: unknown; protocol?: unknown };
  if (name === text) return true;
  if (type === "dns.updated") return data.added.some((each) => each.id === key && each.name === text);
  if (typeof externalPort !== "number") return false;
  const [, port, wanted] = /^(?:[\d.]+:)?(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  return port === `${externalPort}` && (wanted === undefined || wanted === protocol);
}

async function rowsOwnedBy({ controller, desired }: Deps, id: string) {
  const rows: { reconciler: string; desired: Desired<unknown> }[] = [];
  let looked = 0;
  for (const { reconciler, select } of desired) {
    for (const row of select(controller.state).rows()) {
      if (row.owners.includes(id)) rows.push({ reconciler, desired: row });
      looked += 1;
      if (looked % TURN === 0) await nextTurn();
    }
  }
  return rows;
}

const OTHER_OWNERS: Readonly<Record<string, string>> = {
  settings: "the configuration file",
  listener: "a program on the gateway that listens there",
  operator: "an operator's decision to end live flows",
};

function ownersOf(state: State, { owners }: Desired<unknown>): Owner[] {
  return owners.map((id) => {
    for (const name of ["port", "device", "subnet"]) {
      const described = kindNamed(name)?.describe(state, id);
      if (described) return { kind: name, id, described };
    }
    return { kind: "other", id, described: { name: ownRow(OTHER_OWNERS, id) ?? id, says: {} } };
  });
}

/** The record before the first that can speak of any of them. */
function sinceOf(state: State, owners: readonly Owner[], otherwise: number): number {
  const made = owners.map(({ kind, id }) => {
    const row =
      kind === "port" ? tableGet(state.mappings, id) : kind === "device" ? tableGet(state.devices, id) : undefined;
    return row?.createdSeq ?? state.subnets[id]?.createdSeq ?? otherwise;
  });
  return Math.min(otherwise, ...made) - 1;
}

async function recordsOf({ history }: Deps, owners: readonly Owner[], since: number): Promise<PortreeveRecord[]> {
  const refs = new Set(owners.map(({ kind, id }) => refOf(kind, id)));
  const after = Math.max(since, await history.readableAfter(), history.head.seq - LOOKED_AT_MAX);
  const found: PortreeveRecord[] = [];
  for await (const record of history.records(after)) {
    if (![...objectsOf([record.event]).keys()].some((ref) => refs.has(ref))) continue;
    found.push(record);
    if (found.length > RECORDS_MAX) found.splice(1, 1);
  }
  return found;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
