import { assert } from "./assert.ts";

/**
 * A map from string to row, split by key hash into 64 branches of 64 buckets, so that a fork costs one short list and
 * one change in it two more, however many rows there are. Branches and buckets that hold nothing are null. Only this
 * file looks inside.
 *
 * A table is written to from when it is made or forked until it is sealed; from then on it never changes.
 */
export interface Table<Row> {
  size: number;
  readonly branches: (Branch<Row> | null)[];
  /** Marks the parts that were made for this table and are shared with no other; null once it is sealed. */
  edit: Edit | null;
  /** The table that this one began as a fork of: its rows are there too. Null if none: its rows are its own. */
  readonly forked: boolean;
}

type Edit = object;

interface Branch<Row> {
  readonly edit: Edit;
  readonly buckets: (Bucket<Row> | null)[];
}

/** Pairs; a handful at most, so that looking through them is quicker than an object or a map of their own. */
interface Bucket<Row> {
  readonly edit: Edit;
  readonly keys: string[];
  readonly rows: Row[];
}

export interface ReadonlyTable<Row> {
  readonly size: number;
  readonly branches: readonly (Branch<Row> | null)[];
  readonly edit: Edit | null;
}

const FANOUT = 64;
const NO_BUCKETS: readonly null[] = Object.freeze(Array.from({ length: FANOUT }, () => null));
const NOTHING: { readonly keys: readonly string[]; readonly rows: readonly never[] } = Object.freeze({
  keys: Object.freeze([]),
  rows: Object.freeze([]),
});

/** FNV-1a, 32 bit: where a key lies is part of nothing stored, only of the shape in memory. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

const outerOf = (hash: number): number => (hash >>> 6) % FANOUT;
const innerOf = (hash: number): number => hash % FANOUT;

export function emptyTable<Row>(): Table<Row> {
  return { size: 0, branches: new Array(FANOUT).fill(null), edit: {}, forked: false };
}

/** The same rows, to be written to; the rows themselves are shared and must be replaced, not changed. */
export function forkTable<Row>(table: Table<Row>): Table<Row> {
  assert(table.edit === null, "a table is forked that may still change");
  return { size: table.size, branches: table.branches.slice(), edit: {}, forked: true };
}

export function sealTable<Row>(table: Table<Row>): void {
  table.edit = null;
}

export function isSealed(table: ReadonlyTable<unknown>): boolean {
  return table.edit === null;
}

function bucketAt<Row>(table: ReadonlyTable<Row>, hash: number): Bucket<Row> | null {
  const branch = table.branches[outerOf(hash)];
  return branch?.buckets[innerOf(hash)] ?? null;
}

export function tableGet<Row>(table: ReadonlyTable<Row>, key: string): Row | undefined {
  const bucket = bucketAt(table, hashOf(key));
  if (bucket === null) return undefined;
  const index = bucket.keys.indexOf(key);
  return index < 0 ? undefined : bucket.rows[index];
}

/** The bucket of a hash, which no other table shares. */
function ownBucket<Row>({ branches, edit }: Table<Row>, hash: number): Bucket<Row> {
  assert(edit !== null, "a sealed table is written to");
  const [outer, inner] = [outerOf(hash), innerOf(hash)];
  let branch = branches[outer] ?? null;
  if (branch?.edit !== edit) {
    branch = { edit, buckets: branch === null ? new Array(FANOUT).fill(null) : branch.buckets.slice() };
    branches[outer] = branch;
  }
  let bucket = branch.buckets[inner] ?? null;
  if (bucket?.edit !== edit) {
    bucket = bucket === null ? { edit, keys: [], rows: [] } : { edit, keys: bucket.keys.slice(), rows: bucket.rows.slice() };
    branch.buckets[inner] = bucket;
  }
  return bucket;
}

export function tableSet<Row>(table: Table<Row>, key: string, row: Row): void {
  const { keys, rows } = ownBucket(table, hashOf(key));
  const index = keys.indexOf(key);
  if (index >= 0) {
    rows[index] = row;
    return;
  }
  keys.push(key);
  rows.push(row);
  table.size += 1;
}

export function tableDelete<Row>(table: Table<Row>, key: string): void {
  tableSweep(table, key, (_row, other) => other === key);
}

/**
 * Deletes rows that are over from the bucket a key lies in: a table whose every addition sweeps its own bucket stays
 * bounded without anyone walking all of it.
 */
export function tableSweep<Row>(table: Table<Row>, key: string, isOver: (row: Row, key: string) => boolean): void {
  const hash = hashOf(key);
  const found = bucketAt(table, hash);
  if (found === null || !found.rows.some((row, index) => isOver(row, found.keys[index] as string))) return;
  const { keys, rows } = ownBucket(table, hash);
  for (let index = keys.length - 1; index >= 0; index -= 1) {
    if (!isOver(rows[index] as Row, keys[index] as string)) continue;
    keys.splice(index, 1);
    rows.splice(index, 1);
    table.size -= 1;
  }
}

export function* tableEntries<Row>(table: ReadonlyTable<Row>): Generator<[string, Row]> {
  for (const branch of table.branches) {
    for (const bucket of branch?.buckets ?? NO_BUCKETS) {
      if (bucket === null) continue;
      for (const [index, key] of bucket.keys.entries()) yield [key, bucket.rows[index] as Row];
    }
  }
}

export function* tableRows<Row>(table: ReadonlyTable<Row>): Generator<Row> {
  for (const branch of table.branches) {
    for (const bucket of branch?.buckets ?? NO_BUCKETS) if (bucket !== null) yield* bucket.rows;
  }
}

export interface TableChange<Row> {
  readonly key: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** Rows that are not the same object in both. Costs what changed, not what is there: shared buckets are passed over. */
export function tableChanges<Row>(before: ReadonlyTable<Row>, after: ReadonlyTable<Row>): TableChange<Row>[] {
  const changes: TableChange<Row>[] = [];
  if (before === after) return changes;
  for (let outer = 0; outer < FANOUT; outer += 1) {
    const old = before.branches[outer] ?? null;
    const now = after.branches[outer] ?? null;
    if (old !== now) collectChanges(old?.buckets ?? NO_BUCKETS, now?.buckets ?? NO_BUCKETS, changes);
  }
  return changes;
}

type Buckets<Row> = readonly (Bucket<Row> | null)[];

function collectChanges<Row>(before: Buckets<Row>, after: Buckets<Row>, changes: TableChange<Row>[]): void {
  for (let inner = 0; inner < FANOUT; inner += 1) {
    if (before[inner] === after[inner]) continue;
    const old = before[inner] ?? NOTHING;
    const now = after[inner] ?? NOTHING;
    for (const [index, key] of now.keys.entries()) {
      const place = old.keys.indexOf(key);
      const was = place < 0 ? undefined : old.rows[place];
      if (was !== now.rows[index]) changes.push({ key, before: was, after: now.rows[index] });
    }
    for (const [index, key] of old.keys.entries()) {
      if (!now.keys.includes(key)) changes.push({ key, before: old.rows[index], after: undefined });
    }
  }
}
