/**
 * A map from string to row, split by key hash into 64 branches of 64 buckets, so that one change copies two short
 * lists and one bucket and not the whole table (one immer draft over a flat table of 60,000 rows costs over 100 ms).
 * Branches and buckets that hold nothing are null. Plain data: immer drafts it. Only this file looks inside.
 */
export interface Table<Row> {
  size: number;
  branches: (Branch<Row> | null)[];
}

type Bucket<Row> = Record<string, Row>;
type Branch<Row> = (Bucket<Row> | null)[];

export interface ReadonlyTable<Row> {
  readonly size: number;
  readonly branches: readonly (readonly (Readonly<Bucket<Row>> | null)[] | null)[];
}

const FANOUT = 64;
const NO_BUCKETS: readonly null[] = Object.freeze([]);
const NOTHING: Readonly<Bucket<never>> = Object.freeze({});

/** FNV-1a, 32 bit: where a key lies is part of nothing stored, only of the shape in memory. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

export function emptyTable<Row>(): Table<Row> {
  return { size: 0, branches: Array.from({ length: FANOUT }, () => null) };
}

function bucketOf<Row>(table: ReadonlyTable<Row>, key: string): Readonly<Bucket<Row>> {
  const hash = hashOf(key);
  return table.branches[(hash >>> 6) % FANOUT]?.[hash % FANOUT] ?? NOTHING;
}

export function tableGet<Row>(table: ReadonlyTable<Row>, key: string): Row | undefined {
  const bucket = bucketOf(table, key);
  return Object.hasOwn(bucket, key) ? bucket[key] : undefined;
}

export function tableSet<Row>(table: Table<Row>, key: string, row: Row): void {
  const hash = hashOf(key);
  const outer = (hash >>> 6) % FANOUT;
  table.branches[outer] ??= Array.from({ length: FANOUT }, () => null);
  const branch = table.branches[outer];
  branch[hash % FANOUT] ??= {};
  const bucket = branch[hash % FANOUT] as Bucket<Row>;
  if (!Object.hasOwn(bucket, key)) table.size += 1;
  bucket[key] = row;
}

export function tableDelete<Row>(table: Table<Row>, key: string): void {
  const bucket = bucketOf(table, key) as Bucket<Row>;
  if (!Object.hasOwn(bucket, key)) return;
  delete bucket[key];
  table.size -= 1;
}

/**
 * Deletes rows that are over from the bucket a key lies in: a table whose every addition sweeps its own bucket stays
 * bounded without anyone walking all of it.
 */
export function tableSweep<Row>(table: Table<Row>, key: string, isOver: (row: Row) => boolean): void {
  const bucket = bucketOf(table, key) as Bucket<Row>;
  for (const other of Object.keys(bucket)) {
    if (!isOver(bucket[other] as Row)) continue;
    delete bucket[other];
    table.size -= 1;
  }
}

function* buckets<Row>(table: ReadonlyTable<Row>): Generator<Readonly<Bucket<Row>>> {
  for (const branch of table.branches) for (const bucket of branch ?? []) if (bucket !== null) yield bucket;
}

export function* tableEntries<Row>(table: ReadonlyTable<Row>): Generator<[string, Row]> {
  for (const bucket of buckets(table)) yield* Object.entries(bucket);
}

export function* tableRows<Row>(table: ReadonlyTable<Row>): Generator<Row> {
  for (const bucket of buckets(table)) yield* Object.values(bucket);
}

export interface TableChange<Row> {
  readonly key: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** Rows that are not the same object in both. Costs what changed, not what is there: shared buckets are passed over. */
export function tableChanges<Row>(before: ReadonlyTable<Row>, after: ReadonlyTable<Row>): TableChange<Row>[] {
  const changes: TableChange<Row>[] = [];
  if (before.branches === after.branches) return changes;
  for (let outer = 0; outer < FANOUT; outer += 1) {
    const [old, now] = [before.branches[outer] ?? NO_BUCKETS, after.branches[outer] ?? NO_BUCKETS];
    if (old === now) continue;
    for (let inner = 0; inner < FANOUT; inner += 1) {
      if (old[inner] !== now[inner]) collectChanges(old[inner] ?? NOTHING, now[inner] ?? NOTHING, changes);
    }
  }
  return changes;
}

function collectChanges<Row>(
  old: Readonly<Bucket<Row>>,
  now: Readonly<Bucket<Row>>,
  changes: TableChange<Row>[],
): void {
  for (const key of Object.keys(now)) {
    if (old[key] !== now[key]) changes.push({ key, before: old[key], after: now[key] });
  }
  for (const key of Object.keys(old)) {
    if (!Object.hasOwn(now, key)) changes.push({ key, before: old[key], after: undefined });
  }
}
