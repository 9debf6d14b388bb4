import { describe, expect, it } from "vitest";
import {
  emptyTable,
  forkTable,
  sealTable,
  type Table,
  tableChanges,
  tableDelete,
  tableEntries,
  tableGet,
  tableRows,
  tableSet,
  tableSweep,
} from "../../../src/lib/table.ts";

type Row = { readonly version: number };

/** A generator of numbers below a limit; the seed is in the failing test's name. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

const contentOf = (table: Table<Row>): Map<string, Row> => new Map(tableEntries(table));

function expectSame(table: Table<Row>, model: ReadonlyMap<string, Row>): void {
  expect(contentOf(table)).toEqual(model);
  expect(table.size).toBe(model.size);
  expect([...tableRows(table)].length).toBe(model.size);
}

/** What a plain map says has changed. */
function modelChanges(before: ReadonlyMap<string, Row>, after: ReadonlyMap<string, Row>): Map<string, unknown> {
  const changes = new Map<string, unknown>();
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key), after.get(key)];
    if (was !== is) changes.set(key, { key, before: was, after: is });
  }
  return changes;
}

describe("a table", () => {
  it.each([
    { seed: 11, keys: 40 },
    { seed: 12, keys: 3000 },
    { seed: 13, keys: 3000 },
  ])("is what a plain map is, over forks, seed $seed with $keys keys", ({ seed, keys }) => {
    const roll = dice(seed);
    let table: Table<Row> = emptyTable();
    let model = new Map<string, Row>();
    const versions: { table: Table<Row>; model: ReadonlyMap<string, Row> }[] = [];
    for (let version = 0; version < 60; version += 1) {
      for (let step = roll(200); step >= 0; step -= 1) {
        const key = `wan0|tcp|${roll(keys)}`;
        if (roll(3) === 0) {
          tableDelete(table, key);
          model.delete(key);
        } else {
          const row = { version };
          tableSet(table, key, row);
          model.set(key, row);
        }
        expect(tableGet(table, key)).toBe(model.get(key));
      }
      sealTable(table);
      versions.push({ table, model });
      table = forkTable(table);
      model = new Map(model);
    }
    for (const each of versions) expectSame(each.table, each.model);
    for (let pair = 0; pair < 100; pair += 1) {
      const [a, b] = [versions[roll(versions.length)], versions[roll(versions.length)]] as [
        (typeof versions)[0],
        (typeof versions)[0],
      ];
      const changes = new Map(tableChanges(a.table, b.table).map((change) => [change.key, change]));
      expect(changes).toEqual(modelChanges(a.model, b.model));
    }
  });

  it("keeps keys apart whose hashes are the same", () => {
    // Of so many about twenty pairs share all the bits that are used.
    const table: Table<Row> = emptyTable();
    const keys = Array.from({ length: 200_000 }, (_, index) => `k${index}`);
    for (const [version, key] of keys.entries()) tableSet(table, key, { version });
    const lost = keys.filter((key, version) => tableGet(table, key)?.version !== version);
    expect(lost).toEqual([]);
    expect(table.size).toBe(keys.length);
  });

  it("refuses to be changed once it is sealed, and to be forked before", () => {
    const table: Table<Row> = emptyTable();
    tableSet(table, "a", { version: 1 });
    expect(() => forkTable(table)).toThrow("may still change");
    sealTable(table);
    expect(() => tableSet(table, "b", { version: 1 })).toThrow("sealed");
    expect(() => tableDelete(table, "a")).toThrow("sealed");
    expect(table.size).toBe(1);
  });

  it("sweeps what is over from around a key, and never anything else", () => {
    const table: Table<Row> = emptyTable();
    for (let index = 0; index < 500; index += 1) tableSet(table, `k${index}`, { version: index % 2 });
    for (let index = 0; index < 500; index += 1) tableSweep(table, `k${index}`, (row) => row.version === 0);
    expect([...tableRows(table)].map((row) => row.version)).toEqual(Array.from({ length: 250 }, () => 1));
    expect(table.size).toBe(250);
  });
});
