import { assert } from "./assert.ts";

/**
 * A map from string to row: a tree by key hash, 16 children a node, whose leaves hold a few rows each and become nodes
 * when they would hold more. A fork costs nothing and a change in it a copy of the few small parts on the way to its
 * leaf, however many rows there are. Only this file looks inside.
 *
 * A table is written to from when it is made or forked until it is sealed; from then on it never changes.
 */
export interface Table<Row> {
  size: number;
  root: Part<Row> | null;
  /** Marks the parts that were made for this table and are shared with no other. */
  readonly edit: Edit;
  sealed: boolean;
  /** Of the table it was forked from; null if its rows are its own. */
  readonly parent: Edit | null;
  /** The sealed table it was forked from, until it is sealed itself: a chain of them would keep all of the past. */
  base: Table<Row> | null;
  /** Keys that were set or deleted since it was forked; null if it is no fork. */
  changed: Set<string> | null;
  /** What those came to, once it is sealed and somebody has asked: each commit is asked several times. */
  changes: readonly TableChange<Row>[] | null;
}

export interface ReadonlyTable<Row> {
  readonly size: number;
  readonly root: Part<Row> | null;
  readonly edit: Edit;
  readonly sealed: boolean;
  readonly parent: Edit | null;
  readonly base: ReadonlyTable<Row> | null;
  readonly changed: ReadonlySet<string> | null;
  changes: readonly TableChange<Row>[] | null;
}

type Edit = object;
type Part<Row> = Node<Row> | Leaf<Row>;

class Node<Row> {
  readonly children: (Part<Row> | null)[];
  readonly edit: Edit;

  constructor(edit: Edit, children: (Part<Row> | null)[]) {
    this.edit = edit;
    this.children = children;
  }
}

/** Rows side by side with their keys and hashes. */
class Leaf<Row> {
  readonly edit: Edit;
  readonly hashes: number[];
  readonly keys: string[];
  readonly rows: Row[];

  constructor(edit: Edit, hashes: number[], keys: string[], rows: Row[]) {
    this.edit = edit;
    this.hashes = hashes;
    this.keys = keys;
    this.rows = rows;
  }

  indexOf(hash: number, key: string): number {
    const { hashes, keys } = this;
    for (let index = 0; index < hashes.length; index += 1) {
      if (hashes[index] === hash && keys[index] === key) return index;
    }
    return -1;
  }

  add(hash: number, key: string, row: Row): void {
    this.hashes.push(hash);
    this.keys.push(key);
    this.rows.push(row);
  }
}

const FANOUT = 16;
const BITS = 4;
const LEAF_MAX = 8;
/** The last level: what is still together there has (nearly) the same hash. */
const SHIFT_MAX = 28;

/** FNV-1a: where a key lies is part of nothing stored, only of the shape in memory. 30 bits stay small integers. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}

const childOf = (hash: number, shift: number): number => (hash >>> shift) & (FANOUT - 1);

export function emptyTable<Row>(): Table<Row> {
  return { size: 0, root: null, edit: {}, sealed: false, parent: null, base: null, changed: null, changes: null };
}

/** The same rows, to be written to; the rows themselves are shared and must be replaced, not changed. */
export function forkTable<Row>(table: Table<Row>): Table<Row> {
  assert(table.sealed, "a table is forked that may still change");
  const { size, root, edit } = table;
  return { size, root, edit: {}, sealed: false, parent: edit, base: table, changed: new Set(), changes: null };
}

/** A fork as it is in this moment, to try something out on; the fork itself must not be written to meanwhile. */
export function branchTable<Row>(fork: Table<Row>): Table<Row> {
  const { changed } = fork;
  // A mark of its own: the parts that the fork may still write to are copied before the branch writes to them.
  return fork.sealed ? forkTable(fork) : { ...fork, edit: {}, changed: changed === null ? null : new Set(changed) };
}

/** Ends the writing to it; the table it was forked from, if there was none. */
export function sealTable<Row>(table: Table<Row>): Table<Row> {
  const { base } = table;
  table.sealed = true;
  table.base = null;
  return base !== null && table.changed?.size === 0 ? base : table;
}

/** Whether its rows are another table's too, as far as they were not set since. */
export function isFork(table: ReadonlyTable<unknown>): boolean {
  return table.parent !== null;
}

/** The table itself once it is sealed, or what it was forked from; null if it is neither. */
export function sealedBase<Row>(table: ReadonlyTable<Row>): ReadonlyTable<Row> | null {
  return table.sealed ? table : table.base;
}

function leafAt<Row>(table: ReadonlyTable<Row>, hash: number): Leaf<Row> | null {
  let part = table.root;
  for (let shift = 0; part instanceof Node; shift += BITS) part = part.children[childOf(hash, shift)] ?? null;
  return part;
}

export function tableGet<Row>(table: ReadonlyTable<Row>, key: string): Row | undefined {
  return rowAt(table, hashOf(key), key);
}

function rowAt<Row>(table: ReadonlyTable<Row>, hash: number, key: string): Row | undefined {
  const leaf = leafAt(table, hash);
  const index = leaf === null ? -1 : leaf.indexOf(hash, key);
  return leaf === null || index < 0 ? undefined : leaf.rows[index];
}

/** The leaf of a key, which no other table shares; it has room for one more row. */
function ownLeaf<Row>(table: Table<Row>, hash: number, key: string): Leaf<Row> {
  const { edit } = table;
  assert(!table.sealed, "a sealed table is written to");
  table.changed?.add(key);
  const found = leafAt(table, hash);
  if (found?.edit === edit && found.keys.length < LEAF_MAX) return found;
  let part = owned(table.root, edit, 0);
  table.root = part;
  for (let shift = 0; part instanceof Node; shift += BITS) {
    const index = childOf(hash, shift);
    const child: Part<Row> = owned(part.children[index] ?? null, edit, shift + BITS);
    part.children[index] = child;
    part = child;
  }
  return part;
}

/** This very part if it is the edit's own, or a copy that is; a node instead of a full leaf. */
function owned<Row>(part: Part<Row> | null, edit: Edit, shift: number): Part<Row> {
  if (part === null) return new Leaf<Row>(edit, [], [], []);
  if (part instanceof Leaf && part.keys.length >= LEAF_MAX && shift <= SHIFT_MAX) return split(part, edit, shift);
  if (part.edit === edit) return part;
  if (part instanceof Node) return new Node(edit, part.children.slice());
  return new Leaf(edit, part.hashes.slice(), part.keys.slice(), part.rows.slice());
}

function split<Row>({ hashes, keys, rows }: Leaf<Row>, edit: Edit, shift: number): Node<Row> {
  const children = Array.from({ length: FANOUT }, (): Part<Row> | null => null);
  for (const [index, hash] of hashes.entries()) {
    const child = (children[childOf(hash, shift)] ??= new Leaf<Row>(edit, [], [], []));
    (child as Leaf<Row>).add(hash, keys[index] as string, rows[index] as Row);
  }
  return new Node(edit, children);
}

export function tableSet<Row>(table: Table<Row>, key: string, row: Row): void {
  const hash = hashOf(key);
  const leaf = ownLeaf(table, hash, key);
  const index = leaf.indexOf(hash, key);
  if (index >= 0) {
    leaf.rows[index] = row;
    return;
  }
  leaf.add(hash, key, row);
  table.size += 1;
}

export function tableDelete<Row>(table: Table<Row>, key: string): void {
  const hash = hashOf(key);
  const found = leafAt(table, hash);
  if (found === null || found.indexOf(hash, key) < 0) return;
  const leaf = ownLeaf(table, hash, key);
  const index = leaf.indexOf(hash, key);
  leaf.hashes.splice(index, 1);
  leaf.keys.splice(index, 1);
  leaf.rows.splice(index, 1);
  table.size -= 1;
}

/** Rows that are swept together have hashes with these low bits in common: 4,096 lots. */
const SWEPT_BITS = 12;
const SWEPT_MASK = 2 ** SWEPT_BITS - 1;

/**
 * Deletes rows that are over from the lot a key belongs to: a table whose every addition sweeps its own lot stays
 * bounded without anyone walking all of it. A lot is a matter of keys alone: a leaf depends on how the table has grown,
 * and a table from a snapshot has grown otherwise than the one that was saved.
 */
export function tableSweep<Row>(table: Table<Row>, key: string, isOver: (row: Row) => boolean): void {
  const hash = hashOf(key);
  let part = table.root;
  for (let shift = 0; shift < SWEPT_BITS && part instanceof Node; shift += BITS) {
    part = part.children[childOf(hash, shift)] ?? null;
  }
  // Mostly it is one leaf: a replay sweeps at every other record, and a generator would cost it a tenth.
  if (part instanceof Leaf) sweepLeaf(table, part, hash, isOver);
  else for (const leaf of leavesOf(part)) sweepLeaf(table, leaf, hash, isOver);
}

/** From the end: what is deleted from this very leaf moves only what comes after it. */
function sweepLeaf<Row>(table: Table<Row>, leaf: Leaf<Row>, hash: number, isOver: (row: Row) => boolean): void {
  const { hashes, keys, rows } = leaf;
  for (let index = keys.length - 1; index >= 0; index -= 1) {
    if ((((hashes[index] as number) ^ hash) & SWEPT_MASK) !== 0) continue;
    if (isOver(rows[index] as Row)) tableDelete(table, keys[index] as string);
  }
}

function* leavesOf<Row>(part: Part<Row> | null): Generator<Leaf<Row>> {
  if (part instanceof Leaf) yield part;
  else if (part !== null) for (const child of part.children) yield* leavesOf(child);
}

export function* tableEntries<Row>(table: ReadonlyTable<Row>): Generator<[string, Row]> {
  for (const { keys, rows } of leavesOf(table.root)) {
    for (const [index, key] of keys.entries()) yield [key, rows[index] as Row];
  }
}

export function* tableRows<Row>(table: ReadonlyTable<Row>): Generator<Row> {
  for (const { rows } of leavesOf(table.root)) yield* rows;
}

export interface TableChange<Row> {
  readonly key: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

const NOTHING: readonly never[] = [];

/** Rows that are not the same object in both. Costs what changed, not what is there: shared parts are passed over. */
export function tableChanges<Row>(before: ReadonlyTable<Row>, after: ReadonlyTable<Row>): readonly TableChange<Row>[] {
  if (before === after) return NOTHING;
  if (after.parent === before.edit && after.changed !== null) {
    const known = after.changes ?? changesOfFork(before, after, after.changed);
    if (after.sealed) after.changes = known;
    return known;
  }
  const changes: TableChange<Row>[] = [];
  collectChanges(before.root, after.root, 0, changes);
  return changes;
}

function changesOfFork<Row>(
  before: ReadonlyTable<Row>,
  after: ReadonlyTable<Row>,
  keys: ReadonlySet<string>,
): readonly TableChange<Row>[] {
  const changes: TableChange<Row>[] = [];
  for (const key of keys) {
    const hash = hashOf(key);
    const [was, row] = [rowAt(before, hash, key), rowAt(after, hash, key)];
    if (was !== row) changes.push({ key, before: was, after: row });
  }
  return changes;
}

function collectChanges<Row>(
  before: Part<Row> | null,
  after: Part<Row> | null,
  shift: number,
  changes: TableChange<Row>[],
): void {
  if (before === after) return;
  if (!(before instanceof Node) && !(after instanceof Node)) return compareLeaves(before, after, changes);
  // A leaf became a node: its rows lie where the hash leads from here on.
  const [old, now] = [childrenOf(before, shift), childrenOf(after, shift)];
  for (let index = 0; index < FANOUT; index += 1) {
    collectChanges(old[index] ?? null, now[index] ?? null, shift + BITS, changes);
  }
}

function childrenOf<Row>(part: Part<Row> | null, shift: number): readonly (Part<Row> | null)[] {
  if (part === null) return [];
  return part instanceof Node ? part.children : split(part, part.edit, shift).children;
}

function compareLeaves<Row>(before: Leaf<Row> | null, after: Leaf<Row> | null, changes: TableChange<Row>[]): void {
  for (let index = 0; after !== null && index < after.keys.length; index += 1) {
    const [key, hash, row] = [after.keys[index] as string, after.hashes[index] as number, after.rows[index] as Row];
    const place = before === null ? -1 : before.indexOf(hash, key);
    const was = place < 0 ? undefined : before?.rows[place];
    if (was !== row) changes.push({ key, before: was, after: row });
  }
  for (let index = 0; before !== null && index < before.keys.length; index += 1) {
    const [key, hash] = [before.keys[index] as string, before.hashes[index] as number];
    if (after === null || after.indexOf(hash, key) < 0)
      changes.push({ key, before: before.rows[index], after: undefined });
  }
}
