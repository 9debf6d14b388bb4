import { describe, expect, it } from "vitest";
import {
  branchTable,
  emptyTable,
  forkTable,
  sealedBase,
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
import { random } from "../../random.mjs";

type Row = { readonly version: number };

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

type Version = { readonly table: Table<Row>; readonly model: ReadonlyMap<string, Row> };

function expectChanges(before: Version, after: Version): void {
  const changes = tableChanges(before.table, after.table);
  const byKey = new Map(changes.map((change) => [change.key, change]));
  expect(byKey.size).toBe(changes.length);
  expect(byKey).toEqual(modelChanges(before.model, after.model));
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `wan0|tcp|${index}`);

/** 2 ** `doublings` keys of one FNV-1a hash: pairs of two characters that lead from a hash to the same next one. */
function colliding(doublings: number): string[] {
  const mixed = (hash: number, code: number): number => Math.imul(hash ^ code, 0x01000193);
  let [hash, keys] = [0x811c9dc5 | 0, [""]];
  for (let doubling = 0; doubling < doublings; doubling += 1) {
    const firstWith = new Map<number, number>();
    for (let code = 0; ; code += 1) {
      const upper = mixed(hash, code) >>> 16;
      const other = firstWith.get(upper);
      firstWith.set(upper, code);
      if (other === undefined) continue;
      const second = (mixed(hash, other) ^ mixed(hash, code)) & 0xffff;
      keys = keys.flatMap((key) => [key + String.fromCharCode(other, second), key + String.fromCharCode(code, 0)]);
      hash = mixed(mixed(hash, code), 0);
      break;
    }
  }
  return keys;
}

describe("a table", () => {
  it.each([
    { seed: 11, keys: numbered(40) },
    { seed: 12, keys: numbered(3000) },
    { seed: 13, keys: numbered(3000) },
    { seed: 14, keys: [...colliding(5), ...numbered(40)] },
  ])("is what a plain map is, over a tree of forks and with sweeps, seed $seed", ({ seed, keys }) => {
    const roll = random(seed);
    const pick = <T>(all: readonly T[]): T => all[roll(all.length)] as T;
    let table: Table<Row> = emptyTable();
    let model = new Map<string, Row>();
    const versions: Version[] = [];
    for (let version = 0; version < 60; version += 1) {
      for (let step = roll(200); step >= 0; step -= 1) {
        const key = pick(keys);
        const kind = roll(12);
        if (kind < 4) {
          tableDelete(table, key);
          model.delete(key);
        } else if (kind === 4) {
          const isOver = (row: Row): boolean => (row.version + version) % 3 === 0;
          tableSweep(table, key, isOver);
          const gone = [...model].filter(([each]) => tableGet(table, each) === undefined);
          expect(gone.filter(([, row]) => !isOver(row))).toEqual([]);
          for (const [each] of gone) model.delete(each);
          if (model.has(key)) expect(isOver(model.get(key) as Row)).toBe(false);
        } else {
          const row = { version };
          tableSet(table, key, row);
          model.set(key, row);
        }
        expect(tableGet(table, key)).toBe(model.get(key));
      }
      // Before it is sealed too: a command group asks what it has changed so far.
      if (versions.length > 0) expectChanges(pick(versions), { table, model });
      sealTable(table);
      versions.push({ table, model });
      // Mostly on from the last one; now and then from an older one, as after a commit that failed.
      const from = roll(4) === 0 ? pick(versions) : { table, model };
      table = forkTable(from.table);
      model = new Map(from.model);
    }
    for (const each of versions) expectSame(each.table, each.model);
    for (let pair = 0; pair < 200; pair += 1) expectChanges(pick(versions), pick(versions));
  });

  it("keeps keys apart whose hashes are the same", () => {
    const keys = colliding(6);
    expect(new Set(keys).size).toBe(64);
    const table: Table<Row> = emptyTable();
    for (const [version, key] of keys.entries()) tableSet(table, key, { version });
    for (const key of keys.slice(0, 30)) tableDelete(table, key);
    expect(keys.map((key) => tableGet(table, key)?.version)).toEqual(
      keys.map((_, version) => (version < 30 ? undefined : version)),
    );
    expect(table.size).toBe(34);
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

  it("is the table it was forked from if nothing was written to it", () => {
    const table: Table<Row> = emptyTable();
    tableSet(table, "a", { version: 1 });
    sealTable(table);
    const idle = forkTable(table);
    tableDelete(idle, "b");
    expect(sealTable(idle)).toBe(table);
    expect(tableChanges(table, sealTable(forkTable(table)))).toEqual([]);
    const written = forkTable(table);
    tableSet(written, "a", { version: 2 });
    expect(sealTable(written)).toBe(written);
    expect(tableChanges(table, written).map(({ key }) => key)).toEqual(["a"]);
  });

  it("branches off a fork in the making, which sees nothing of what is written to the branch", () => {
    const table: Table<Row> = emptyTable();
    for (let index = 0; index < 40; index += 1) tableSet(table, `k${index}`, { version: 1 });
    sealTable(table);
    const fork = forkTable(table);
    tableSet(fork, "k1", { version: 2 });
    tableDelete(fork, "k2");
    const branch = branchTable(fork);
    expect(new Map(tableEntries(branch))).toEqual(new Map(tableEntries(fork)));
    const before = new Map(tableEntries(fork));
    for (let index = 0; index < 60; index += 1) tableSet(branch, `k${index}`, { version: 3 });
    tableDelete(branch, "k7");
    expect(new Map(tableEntries(fork))).toEqual(before);
    expect(sealedBase(branch)).toBe(table);
    expect(tableChanges(table, branch)).toHaveLength(60);
    sealTable(fork);
    expect(sealedBase(branchTable(fork))).toBe(fork);
  });

  it("sweeps what is over from around a key, and never anything else", () => {
    const table: Table<Row> = emptyTable();
    for (let index = 0; index < 500; index += 1) tableSet(table, `k${index}`, { version: index % 2 });
    for (let index = 0; index < 500; index += 1) tableSweep(table, `k${index}`, (row) => row.version === 0);
    expect([...tableRows(table)].map((row) => row.version)).toEqual(Array.from({ length: 250 }, () => 1));
    expect(table.size).toBe(250);
  });

  it("a sweep deletes the same rows of equal tables, however each of them has grown", () => {
    const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`);
    const kept = keys.slice(0, 6);
    for (const swept of keys) {
      const shrunk = emptyTable<number>();
      for (const key of keys) tableSet(shrunk, key, 0);
      for (const key of keys.slice(6)) tableDelete(shrunk, key);
      const fresh = emptyTable<number>();
      for (const key of kept) tableSet(fresh, key, 0);
      for (const table of [shrunk, fresh]) tableSweep(table, swept, () => true);
      expect(new Map(tableEntries(shrunk)), swept).toEqual(new Map(tableEntries(fresh)));
    }
  });
});
