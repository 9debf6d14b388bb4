/**
 * A map from string to row, split into buckets by key hash, so that one change copies one bucket and not the whole
 * table (one immer draft over a flat table of 60,000 rows costs over 100 ms). Plain data: immer drafts it, JSON keeps it.
 */
export interface Table<Row> {
  size: number;
  buckets: Record<string, Row>[];
}

export const TABLE_BUCKETS = 1024;

/** FNV-1a, 32 bit: the bucket of a key is part of nothing stored, only of the shape in memory. */
export function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (TABLE_BUCKETS - 1);
}

export function emptyTable<Row>(): Table<Row> {
  return { size: 0, buckets: Array.from({ length: TABLE_BUCKETS }, () => ({})) };
}

export interface ReadonlyTable<Row> {
  readonly size: number;
  readonly buckets: readonly Readonly<Record<string, Row>>[];
}

export function tableGet<Row>(table: ReadonlyTable<Row>, key: string): Row | undefined {
  const bucket = table.buckets[bucketOf(key)];
  return bucket !== undefined && Object.hasOwn(bucket, key) ? bucket[key] : undefined;
}

export function tableSet<Row>(table: Table<Row>, key: string, row: Row): void {
  const bucket = table.buckets[bucketOf(key)] as Record<string, Row>;
  if (!Object.hasOwn(bucket, key)) table.size += 1;
  bucket[key] = row;
}

export function tableDelete<Row>(table: Table<Row>, key: string): void {
  const bucket = table.buckets[bucketOf(key)] as Record<string, Row>;
  if (!Object.hasOwn(bucket, key)) return;
  delete bucket[key];
  table.size -= 1;
}

export function* tableEntries<Row>(table: ReadonlyTable<Row>): Generator<[string, Row]> {
  for (const bucket of table.buckets) yield* Object.entries(bucket);
}

export function* tableRows<Row>(table: ReadonlyTable<Row>): Generator<Row> {
  for (const bucket of table.buckets) yield* Object.values(bucket);
}

/** Indexes of the buckets that are not the same object in both: where rows may differ. */
export function changedBuckets(before: ReadonlyTable<unknown>, after: ReadonlyTable<unknown>): number[] {
  if (before === after || before.buckets === after.buckets) return [];
  const changed: number[] = [];
  for (let index = 0; index < TABLE_BUCKETS; index += 1) {
    if (before.buckets[index] !== after.buckets[index]) changed.push(index);
  }
  return changed;
}
