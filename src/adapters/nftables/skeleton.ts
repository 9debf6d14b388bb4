import { assert } from "../../lib/assert.ts";

/**
 * A table without its elements: declarations that may be repeated, then every chain flushed and written anew, all in
 * one transaction. Elements of sets and maps stay, and so do the flows: no packet sees a chain half written.
 */
export interface Skeleton {
  readonly table: string;
  /** nft commands, one a line. */
  readonly text: string;
  /** Everything the table may hold; anything else in it is drift. */
  readonly chains: readonly string[];
  readonly sets: readonly string[];
}

export class SkeletonBuilder {
  readonly #table: string;
  readonly #head: string[] = [];
  readonly #rules: string[] = [];
  readonly #chains: string[] = [];
  readonly #sets: string[] = [];

  constructor(table: string, instanceId: string, flags = "") {
    assert(/^[0-9a-f]{16}$/.test(instanceId), "instance ids are 16 hex digits");
    this.#table = table;
    this.#head.push(`add table inet ${table}${flags}`);
    this.set("instance", "type ipv4_addr;");
    this.#head.push(...instanceMark(table, instanceId));
  }

  set(name: string, declaration: string): void {
    this.#sets.push(name);
    this.#head.push(`add set inet ${this.#table} ${name} { ${declaration} }`);
  }

  map(name: string, declaration: string): void {
    this.#sets.push(name);
    this.#head.push(`add map inet ${this.#table} ${name} { ${declaration} }`);
  }

  /** `base`: "nat hook prerouting priority -100", or nothing for a chain that others jump to. */
  chain(name: string, base: string | null, rules: readonly string[]): void {
    this.#chains.push(name);
    const declaration = base === null ? "" : ` { type ${base}; policy accept; }`;
    this.#head.push(`add chain inet ${this.#table} ${name}${declaration}`);
    this.#head.push(`flush chain inet ${this.#table} ${name}`);
    for (const rule of rules) this.#rules.push(`add rule inet ${this.#table} ${name} ${rule}`);
  }

  build(): Skeleton {
    const text = `${[...this.#head, ...this.#rules].join("\n")}\n`;
    return { table: this.#table, text, chains: this.#chains, sets: this.#sets };
  }
}

/** Tables have no comment that nft 1.0.6 can list, so the instance id is the comment of an element of its own set. */
export function instanceMark(table: string, instanceId: string): string[] {
  return [`flush set inet ${table} instance`, `add element inet ${table} instance { 0.0.0.1 comment "${instanceId}" }`];
}

const INTERFACE = /^[A-Za-z0-9_.-]{1,15}$/;

/** `{ "wan0", "wan1" }`. By name: a rule by index would miss an interface that came back. */
export function interfaces(names: readonly string[]): string {
  assert(names.length > 0, "an empty set of interfaces matches nothing and nft refuses it");
  for (const name of names) assert(INTERFACE.test(name), "interface names were checked where they came in");
  return `{ ${names.map((name) => `"${name}"`).join(", ")} }`;
}
