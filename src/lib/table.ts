/**
 * A map from string to row, split by key hash into 128 branches of 128 buckets, so that one change copies two short lists
 * and one bucket and not the whole table (one immer draft over a flat table of 60,000 rows costs over 100 ms).
 * Plain data: immer drafts it, JSON keeps it. Only this file looks inside.
 */
export interface Table<Row> {
  size: number;
  branches: Bucket<Row>[][];
}

export type Bucket<Row> = Record<string, Row>;

export interface ReadonlyTable<Row> {
  readonly size: number;
  readonly branches: readonly (readonly Readonly<Bucket<Row>>[])[];
}

const FANOUT = 128;

/** FNV-1a, 32 bit: where a key lies is part of nothing stored, only of the shape in memory. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

export function emptyTable<Row>(): Table<Row> {
  const branch = (): Bucket<Row>[] => Array.from({ length: FANOUT }, () => ({}));
  return { size: 0, branches: Array.from({ length: FANOUT }, branch) };
}

function bucketAt<B>(branches: readonly (readonly B[])[], key: string): B {
  const hash = hashOf(key);
  return (branches[(hash >>> 7) % FANOUT] as readonly B[])[hash % FANOUT] as B;
}

export function tableGet<Row>(table: ReadonlyTable<Row>, key: string): Row | undefined {
  const bucket = bucketAt(table.branches, key);
  return Object.hasOwn(bucket, key) ? bucket[key] : undefined;
}

export function tableSet<Row>(table: Table<Row>, key: string, row: Row): void {
  const bucket = bucketAt(table.branches, key);
  if (!Object.hasOwn(bucket, key)) table.size += 1;
  bucket[key] = row;
}

export function tableDelete<Row>(table: Table<Row>, key: string): void {
  const bucket = bucketAt(table.branches, key);
  if (!Object.hasOwn(bucket, key)) return;
  delete bucket[key];
  table.size -= 1;
}

/**
 * Deletes rows that are over from the bucket a key lies in: a table whose every addition sweeps its own bucket stays
 * bounded without anyone walking all of it.
 */
export function tableSweep<Row>(table: Table<Row>, key: string, isOver: (row: Row) => boolean): void {
  const bucket = bucketAt(table.branches, key);
  for (const [other, row] of Object.entries(bucket)) {
    if (!isOver(row)) continue;
    delete bucket[other];
    table.size -= 1;
  }
}

export function* tableEntries<Row>(table: ReadonlyTable<Row>): Generator<[string, Row]> {
  for (const branch of table.branches) for (const bucket of branch) yield* Object.entries(bucket);
}

export function* tableRows<Row>(table: ReadonlyTable<Row>): Generator<Row> {
  for (const branch of table.branches) for (const bucket of branch) yield* Object.values(bucket);
}

export interface TableChange<Row> {
  readonly key: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** Rows that are not the same object in both. Costs what changed, not what is there: shared buckets are passed over. */
export function* tableChanges<Row>(before: ReadonlyTable<Row>, after: ReadonlyTable<Row>): Generator<TableChange<Row>> {
  if (before.branches === after.branches) return;
  for (let outer = 0; outer < FANOUT; outer += 1) {
    const [old, now] = [before.branches[outer] ?? [], after.branches[outer] ?? []];
    if (old === now) continue;
    for (let inner = 0; inner < FANOUT; inner += 1) yield* bucketChanges(old[inner] ?? {}, now[inner] ?? {});
  }
}

function* bucketChanges<Row>(old: Readonly<Bucket<Row>>, now: Readonly<Bucket<Row>>): Generator<TableChange<Row>> {
  if (old === now) return;
  for (const key of Object.keys(now)) if (old[key] !== now[key]) yield { key, before: old[key], after: now[key] };
  for (const key of Object.keys(old)) if (!Object.hasOwn(now, key)) yield { key, before: old[key], after: undefined };
}
