import { assert } from "./assert.ts";
import { type ReadonlyTable, sealedBase, type TableChange, tableChanges, tableEntries } from "./table.ts";

/**
 * Keys of rows by where they belong, for questions that no table of the state answers: walking all rows for each request
 * that asks would be an invitation. Remembered as of the last commit, and follows what changed since.
 */
export class TableIndex<Row> {
  readonly #placeOf: (row: Row) => string | null;
  readonly #keys = new Map<string, Set<string>>();
  #last: ReadonlyTable<Row> | null = null;

  /** `placeOf`: null for a row that nobody asks for. */
  constructor(placeOf: (row: Row) => string | null) {
    this.#placeOf = placeOf;
  }

  keysAt(table: ReadonlyTable<Row>, place: string): string[] {
    const committed = committedOf(table);
    const keys = new Set(this.#follow(committed).get(place));
    // What this very commit group changed is for this one answer only: it may never be written.
    for (const { key, before, after } of tableChanges(committed, table)) {
      const [was, is] = this.#places(before, after);
      if (was === is) continue;
      if (was === place) keys.delete(key);
      if (is === place) keys.add(key);
    }
    return [...keys];
  }

  countAt(table: ReadonlyTable<Row>, place: string): number {
    const committed = committedOf(table);
    let count = this.#follow(committed).get(place)?.size ?? 0;
    for (const { before, after } of tableChanges(committed, table)) {
      const [was, is] = this.#places(before, after);
      count += (is === place ? 1 : 0) - (was === place ? 1 : 0);
    }
    return count;
  }

  /** Where rows were as of the last commit. */
  places(table: ReadonlyTable<Row>): string[] {
    return [...this.#follow(committedOf(table)).keys()];
  }

  #follow(table: ReadonlyTable<Row>): ReadonlyMap<string, ReadonlySet<string>> {
    if (this.#last === table) return this.#keys;
    for (const { key, before, after } of this.#last === null ? allAdded(table) : tableChanges(this.#last, table)) {
      const [was, is] = this.#places(before, after);
      if (was === is) continue;
      if (was !== null) this.#drop(was, key);
      if (is !== null) this.#add(is, key);
    }
    this.#last = table;
    return this.#keys;
  }

  #places(before: Row | undefined, after: Row | undefined): [string | null, string | null] {
    const of = (row: Row | undefined): string | null => (row === undefined ? null : this.#placeOf(row));
    return [of(before), of(after)];
  }

  #add(place: string, key: string): void {
    const keys = this.#keys.get(place);
    if (keys === undefined) this.#keys.set(place, new Set([key]));
    else keys.add(key);
  }

  #drop(place: string, key: string): void {
    const keys = this.#keys.get(place);
    if (keys?.delete(key) === true && keys.size === 0) this.#keys.delete(place);
  }
}

function committedOf<Row>(table: ReadonlyTable<Row>): ReadonlyTable<Row> {
  const committed = sealedBase(table);
  assert(committed !== null, "what is asked is a committed table or a fork of one");
  return committed;
}

function* allAdded<Row>(table: ReadonlyTable<Row>): Generator<TableChange<Row>> {
  for (const [key, after] of tableEntries(table)) yield { key, before: undefined, after };
}
