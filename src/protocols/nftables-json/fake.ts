import { unreachable } from "../../lib/assert.ts";
import { isVerdict, type Part } from "./element.ts";
import { type FakeElement, FakeRefusal, FakeSet, keyText, parseElements } from "./fake-set.ts";
import type { Value, ValuePart } from "./schema.ts";

/**
 * nftables in memory, with the kernel's own rules, for tests: what is referred to must exist, a key has one datum,
 * intervals do not overlap, and a transaction happens whole or not at all. Takes nft's language, one command a line,
 * and the JSON of element transactions; family inet only.
 */
export class FakeRuleset {
  #tables = new Map<string, FakeTable>();
  #generation = 1;

  get generation(): number {
    return this.#generation;
  }

  /** Runs a transaction for the socket `owner`. Null, or the error text nft would print. */
  run(commands: string, owner = 0): string | null {
    const tables = this.#tried(commands, owner);
    if (typeof tables === "string") return tables;
    this.#tables = tables;
    this.#generation += 1;
    return null;
  }

  /** The error text that `run` would give, and nothing happens. */
  rehearse(commands: string): string | null {
    const tables = this.#tried(commands, 0);
    return typeof tables === "string" ? tables : null;
  }

  #tried(commands: string, owner: number): Map<string, FakeTable> | string {
    const tables = new Map([...this.#tables].map(([name, table]) => [name, table.copy()]));
    try {
      if (commands.startsWith("{")) runJson(tables, commands, owner);
      else for (const line of commands.split("\n")) if (line.trim() !== "") runLine(tables, line.trim(), owner);
    } catch (error) {
      if (!(error instanceof FakeRefusal)) throw error;
      return `Error: Could not process rule: ${error.message}\n`;
    }
    return tables;
  }

  /** What the kernel does when a socket closes. */
  closeSocket(owner: number): void {
    for (const [name, table] of this.#tables) if (table.owner === owner) this.#tables.delete(name);
  }

  /** By another program: what is owned stays. */
  flush(): void {
    for (const [name, table] of this.#tables) if (table.owner === null) this.#tables.delete(name);
    this.#generation += 1;
  }

  tables(): Map<string, { readonly owner: number | null }> {
    return new Map([...this.#tables].map(([name, { owner }]) => [name, { owner }]));
  }

  elements(table: string, set: string): readonly FakeElement[] {
    return [...(this.#tables.get(table)?.sets.get(set)?.elements.values() ?? [])];
  }

  find(table: string, set: string, key: readonly Part[]): FakeElement | null {
    return this.#tables.get(table)?.sets.get(set)?.find(key) ?? null;
  }

  /** nft's language. `terse`: without elements. */
  dump(terse = false): string {
    return [...this.#tables].map(([name, table]) => table.dump(name, terse)).join("");
  }

  /** JSON of one set, or null if there is none. */
  listSetJson(table: string, name: string): string | null {
    const set = this.#tables.get(table)?.sets.get(name);
    return set === undefined ? null : JSON.stringify({ nftables: [setObject(table, name, set)] });
  }

  /** JSON of everything, as `nft -j list ruleset`. */
  listJson(): string {
    const objects: object[] = [{ metainfo: { json_schema_version: 1 } }];
    for (const [table, { chains, sets }] of this.#tables) {
      objects.push({ table: { family: "inet", name: table, handle: 1 } });
      for (const [name, set] of sets) objects.push(setObject(table, name, set));
      for (const [name] of chains) objects.push({ chain: { family: "inet", table, name, handle: 1 } });
      for (const [chain, { rules }] of chains) {
        for (const text of rules) objects.push({ rule: { family: "inet", table, chain, handle: 1, expr: [{ text }] } });
      }
    }
    return JSON.stringify({ nftables: objects });
  }
}

interface FakeChain {
  readonly base: string;
  rules: string[];
}

class FakeTable {
  readonly chains = new Map<string, FakeChain>();
  readonly sets = new Map<string, FakeSet>();
  flags: string;
  readonly owner: number | null;

  constructor(flags: string, owner: number | null) {
    this.flags = flags;
    this.owner = owner;
  }

  copy(): FakeTable {
    const copied = new FakeTable(this.flags, this.owner);
    for (const [name, { base, rules }] of this.chains) copied.chains.set(name, { base, rules: [...rules] });
    for (const [name, set] of this.sets) copied.sets.set(name, set.copy());
    return copied;
  }

  dump(name: string, terse: boolean): string {
    const lines = [`table inet ${name} {`];
    if (this.flags !== "") lines.push(`\tflags ${this.flags}`, "");
    for (const [set, { kind, declaration, elements }] of this.sets) {
      lines.push(`\t${kind} ${set} {`, ...declaration.split("; ").map((part) => `\t\t${part.replace(/;$/, "")}`));
      if (!terse && elements.size > 0) {
        lines.push(`\t\telements = { ${[...elements.values()].map(elementText).join(", ")} }`);
      }
      lines.push("\t}", "");
    }
    for (const [chain, { base, rules }] of this.chains) {
      lines.push(`\tchain ${chain} {`);
      if (base !== "") lines.push(`\t\t${base}`);
      lines.push(...rules.map((rule) => `\t\t${rule}`), "\t}", "");
    }
    return `${lines.join("\n")}\n}\n`;
  }
}

type Tables = Map<string, FakeTable>;

const missing = (): FakeRefusal => new FakeRefusal("ENOENT", "No such file or directory");

function tableOf(tables: Tables, name: string, owner: number): FakeTable {
  const table = tables.get(name);
  if (table === undefined) throw missing();
  if (table.owner !== null && table.owner !== owner) throw new FakeRefusal("EPERM", "Operation not permitted");
  return table;
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw missing();
  return value;
}

function runLine(tables: Tables, line: string, owner: number): void {
  const parsed = /^(add|create|delete|flush) (table|chain|rule|set|map|element) inet (\S+)(?: (.*))?$/.exec(line);
  if (parsed === null) throw new FakeRefusal("EINVAL", "Invalid argument");
  const [, verb = "", object = "", tableName = "", rest = ""] = parsed;
  if (object === "table") return runTable(tables, verb, tableName, rest, owner);
  const table = tableOf(tables, tableName, owner);
  const [, name = "", tail = ""] = /^(\S+) ?(.*)$/.exec(rest) ?? [];
  const body = /^\{ ?(.*?) ?\}$/.exec(tail)?.[1] ?? "";
  switch (`${verb} ${object}`) {
    case "add chain":
      return addChain(table, name, body);
    case "flush chain":
      found(table.chains, name).rules = [];
      return;
    case "delete chain":
      found(table.chains, name);
      if (refersTo(table, new RegExp(`\\b(?:jump|goto) ${name}\\b`)) || isTarget(table, name)) throw busy();
      table.chains.delete(name);
      return;
    case "add rule":
      return addRule(table, found(table.chains, name), tail);
    case "add set":
    case "add map":
      return addSet(table, object as "set" | "map", name, body);
    case "delete set":
    case "delete map":
      found(table.sets, name);
      if (refersTo(table, new RegExp(`@${name}\\b`))) throw busy();
      table.sets.delete(name);
      return;
    case "flush set":
    case "flush map":
      found(table.sets, name).elements.clear();
      return;
    case "add element":
    case "create element":
      for (const element of parseElements(body)) addElement(table, name, element, verb === "create");
      return;
    case "delete element":
      for (const { key } of parseElements(body)) found(table.sets, name).remove(key);
      return;
    default:
      throw new FakeRefusal("EINVAL", "Invalid argument");
  }
}

function addElement(table: FakeTable, name: string, element: FakeElement, exclusive: boolean): void {
  const set = found(table.sets, name);
  for (const part of element.data ?? []) if (isVerdict(part)) found(table.chains, part.goto);
  set.add(element, exclusive);
}

/** An element leads there. */
const isTarget = (table: FakeTable, chain: string): boolean =>
  [...table.sets.values()].some(({ elements }) =>
    [...elements.values()].some(({ data }) => data?.some((part) => isVerdict(part) && part.goto === chain)),
  );

const busy = (): FakeRefusal => new FakeRefusal("EBUSY", "Device or resource busy");

const refersTo = (table: FakeTable, pattern: RegExp): boolean =>
  [...table.chains.values()].some(({ rules }) => rules.some((rule) => pattern.test(rule)));

function runTable(tables: Tables, verb: string, name: string, rest: string, owner: number): void {
  const flags = /flags ([^;]+);/.exec(rest)?.[1] ?? "";
  if (verb === "delete") {
    tableOf(tables, name, owner);
    tables.delete(name);
  } else if (tables.has(name)) {
    tableOf(tables, name, owner).flags = flags;
  } else {
    tables.set(name, new FakeTable(flags, flags.includes("owner") ? owner : null));
  }
}

function addChain(table: FakeTable, name: string, base: string): void {
  const present = table.chains.get(name);
  if (present !== undefined && base !== "" && present.base !== base) {
    throw new FakeRefusal("EOPNOTSUPP", "Operation not supported");
  }
  if (present === undefined) table.chains.set(name, { base, rules: [] });
}

function addRule(table: FakeTable, chain: FakeChain, text: string): void {
  for (const [, target = ""] of text.matchAll(/\b(?:jump|goto) ([^\s,]+)/g)) found(table.chains, target);
  for (const [, set = ""] of text.matchAll(/@(\w+)/g)) found(table.sets, set);
  chain.rules.push(text);
}

function addSet(table: FakeTable, kind: "set" | "map", name: string, declaration: string): void {
  const present = table.sets.get(name);
  if (present === undefined) table.sets.set(name, new FakeSet(kind, declaration));
  else if (present.declaration !== declaration) throw new FakeRefusal("EEXIST", "File exists");
}

interface JsonCommand {
  readonly [verb: string]: {
    readonly element?: { readonly table: string; readonly name: string; readonly elem: unknown[] };
  };
}

function runJson(tables: Tables, text: string, owner: number): void {
  const { nftables } = JSON.parse(text) as { nftables: JsonCommand[] };
  for (const command of nftables) {
    for (const [verb, { element }] of Object.entries(command)) {
      if (element === undefined) throw new FakeRefusal("EINVAL", "Invalid argument");
      const table = tableOf(tables, element.table, owner);
      const set = found(table.sets, element.name);
      for (const each of element.elem) {
        const [key, data] = Array.isArray(each) ? (each as [Value, Value]) : [each as Value, null];
        if (verb === "delete") set.remove(parts(key));
        else {
          const added = { key: parts(key), data: data === null ? null : parts(data), comment: null };
          addElement(table, element.name, added, verb === "create");
        }
      }
    }
  }
}

function parts(value: Value): Part[] {
  if (typeof value !== "object") return [value];
  if ("concat" in value) return value.concat.flatMap(parts);
  if ("range" in value) return [[Number(value.range[0]), Number(value.range[1])]];
  if ("goto" in value) return [{ goto: value.goto.target }];
  if ("prefix" in value) return [`${value.prefix.addr}/${value.prefix.len}`];
  return unreachable(value);
}

function jsonValue(key: readonly Part[]): Value {
  const values = key.map((part): ValuePart => {
    if (isVerdict(part)) return { goto: { target: part.goto } };
    return typeof part === "object" ? { range: [part[0], part[1]] } : part;
  });
  return values.length === 1 ? (values[0] as ValuePart) : { concat: values };
}

const oneOrList = (types: readonly string[]): string | readonly string[] =>
  types.length === 1 ? (types[0] as string) : types;

function setObject(table: string, name: string, { kind, keyTypes, dataTypes, interval, elements }: FakeSet): object {
  const elem = [...elements.values()].map(({ key, data, comment }) => {
    const member = comment === null ? jsonValue(key) : { elem: { val: jsonValue(key), comment } };
    return data === null ? member : [member, jsonValue(data)];
  });
  const shared = { family: "inet", name, table, type: oneOrList(keyTypes), handle: 1 };
  return {
    [kind]: {
      ...shared,
      ...(dataTypes === null ? {} : { map: dataTypes.join(" . ") }),
      ...(interval ? { flags: ["interval"] } : {}),
      ...(elem.length === 0 ? {} : { elem }),
    },
  };
}

function elementText({ key, data, comment }: FakeElement): string {
  const note = comment === null ? "" : ` comment "${comment}"`;
  return `${keyText(key)}${note}${data === null ? "" : ` : ${keyText(data)}`}`;
}
