import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { canonicalJson } from "../lib/canonical-json.ts";
import { emptyTable, type ReadonlyTable, type Table, tableEntries, tableSet } from "../lib/table.ts";
import { TABLES } from "./fork.ts";
import type { State } from "./state.ts";

/** The state as plain JSON: tables as objects by key, whatever their shape in memory. */
export function stateToJson(state: State): Record<string, unknown> {
  const json: Record<string, unknown> = { ...state };
  for (const name of TABLES) {
    const table: ReadonlyTable<unknown> = state[name];
    json[name] = Object.fromEntries([...tableEntries(table)].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return json;
}

/** Rows of one piece: well below a millisecond to print. */
const ROWS_PER_PIECE = 200;
/** Sorting members and hashing make a canonical row some ten times as dear. */
const CANONICAL_ROWS_PER_PIECE = 50;

/** The text of `stateToJson`, in no particular order, in pieces that never hold up whoever is waiting for long. */
export function* stateText(state: State): Generator<string> {
  const rest: Record<string, unknown> = { ...state };
  for (const name of TABLES) delete rest[name];
  yield JSON.stringify(rest).slice(0, -1);
  for (const name of TABLES) {
    yield `,"${name}":{`;
    yield* rowTexts(state[name]);
    yield "}";
  }
  yield "}";
}

function* rowTexts(table: ReadonlyTable<unknown>): Generator<string> {
  let [piece, rows] = ["", 0];
  for (const [key, row] of tableEntries(table)) {
    piece += `${rows === 0 ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(row)}`;
    rows += 1;
    if (rows % ROWS_PER_PIECE !== 0) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

/** The inverse, for snapshots this fold wrote. The result is mutable and takes over the parts of `json`. */
export function stateFromJson(json: unknown): State {
  const state = { ...(json as Record<string, unknown>) };
  for (const name of TABLES) {
    const table: Table<unknown> = emptyTable();
    for (const [key, row] of Object.entries(state[name] as Record<string, unknown>)) tableSet(table, key, row);
    state[name] = table;
  }
  return state as unknown as State;
}

/**
 * The canonical text of `stateToJson` (RFC 8785) in pieces, which are hashed as they are taken; returns the hash. Without
 * history it is the text of what is the case only.
 */
export function* hashedText(state: State, withHistory = true): Generator<string, string> {
  const hash = sha256.create();
  for (const piece of canonicalPieces(state, withHistory)) {
    hash.update(utf8ToBytes(piece));
    yield piece;
  }
  return bytesToHex(hash.digest());
}

function* canonicalPieces(state: State, withHistory: boolean): Generator<string> {
  const tables: ReadonlySet<string> = new Set(TABLES);
  const textOf = (value: unknown): string => canonicalJson(withHistory ? value : withoutHistory(value));
  let before = "{";
  for (const name of Object.keys(state).sort()) {
    const value = (state as unknown as Record<string, unknown>)[name];
    if (value === undefined || (!withHistory && HISTORY.has(name))) continue;
    yield `${before}${JSON.stringify(name)}:`;
    if (tables.has(name)) yield* canonicalRows(value as ReadonlyTable<unknown>, textOf);
    else yield textOf(value);
    before = ",";
  }
  yield before === "{" ? "{}" : "}";
}

function* canonicalRows(table: ReadonlyTable<unknown>, textOf: (row: unknown) => string): Generator<string> {
  const rows = [...tableEntries(table)].sort(([a], [b]) => (a < b ? -1 : 1));
  yield "{";
  for (let start = 0; start < rows.length; start += CANONICAL_ROWS_PER_PIECE) {
    const texts = rows
      .slice(start, start + CANONICAL_ROWS_PER_PIECE)
      .map(([key, row]) => `${JSON.stringify(key)}:${textOf(row)}`);
    yield `${start === 0 ? "" : ","}${texts.join(",")}`;
  }
  yield "}";
}

function hashOf(text: Generator<string, string>): string {
  for (;;) {
    const { done, value } = text.next();
    if (done === true) return value;
  }
}

/** The same log prefix gives the same hash on any machine. */
export function stateHash(state: State): string {
  return hashOf(hashedText(state));
}

/** Fields that say when and in which order, not what is the case; and what devices have used, which the mappings tell. */
const HISTORY = new Set([
  "seq",
  "at",
  "revision",
  "specRevision",
  "createdSeq",
  "createdAt",
  "startedAt",
  "expiresAt",
  "setAt",
  "enabledAt",
  "settingsRevision",
  "topologyRevision",
  "listenersRevision",
  "servedRevision",
  "dnsRevision",
  "run",
  "quarantine",
  "severed",
  "usages",
  "seqs",
]);

/** Equal for two histories that lead to the same promises: without seq, times, revisions and quarantine. */
export function contentHash(state: State): string {
  return hashOf(hashedText(state, false));
}

function withoutHistory(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutHistory);
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([key]) => !HISTORY.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutHistory(inner)]));
}
