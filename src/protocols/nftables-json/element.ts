import type { Value, ValuePart } from "./schema.ts";

/**
 * One member of a named set or map of family `inet`. Parts of a concatenation are listed; a port range is a pair, a network
 * "203.0.113.0/24", a verdict the chain to go on in.
 */
export interface Element {
  readonly table: string;
  readonly set: string;
  readonly key: readonly Part[];
  /** Null in a set. */
  readonly data: readonly Part[] | null;
}

export type Part = string | number | readonly [number, number] | { readonly goto: string };

export interface ElementChange {
  readonly op: "add" | "delete";
  readonly element: Element;
}

/** Changes in order; neighbours of the same operation and set share one command, as one netlink message does. */
function grouped(changes: readonly ElementChange[]): { op: "add" | "delete"; elements: Element[] }[] {
  const groups: { op: "add" | "delete"; elements: Element[] }[] = [];
  for (const { op, element } of changes) {
    const last = groups.at(-1);
    const head = last?.elements[0];
    if (last?.op === op && head?.set === element.set && head.table === element.table) last.elements.push(element);
    else groups.push({ op, elements: [element] });
  }
  return groups;
}

/** One transaction for libnftables' JSON parser. */
export function encodeElementsJson(changes: readonly ElementChange[]): string {
  const commands = grouped(changes).map(({ op, elements }) => {
    const { table, set } = elements[0] as Element;
    const elem = elements.map(({ key, data }) =>
      op === "add" && data !== null ? [jsonValue(key), jsonValue(data)] : jsonValue(key),
    );
    return { [op]: { element: { family: "inet", table, name: set, elem } } };
  });
  return JSON.stringify({ nftables: commands });
}

function jsonValue(parts: readonly Part[]): Value {
  const values = parts.map((part): ValuePart => {
    if (isVerdict(part)) return { goto: { target: part.goto } };
    if (typeof part === "object") return { range: [part[0], part[1]] };
    const [addr = "", length] = typeof part === "string" ? part.split("/") : [];
    return length === undefined ? part : { prefix: { addr, len: Number(length) } };
  });
  return values.length === 1 ? (values[0] as ValuePart) : { concat: values };
}

/**
 * The same in nft's own language, a command a line: for a transaction that also declares maps whose data is a
 * concatenation, which the JSON parser of nft 1.0.6 cannot.
 */
export function encodeElementsText(changes: readonly ElementChange[]): string {
  return grouped(changes)
    .map(({ op, elements }) => {
      const { table, set } = elements[0] as Element;
      const list = elements.map(({ key, data }) =>
        op === "add" && data !== null ? `${textValue(key)} : ${textValue(data)}` : textValue(key),
      );
      return `${op} element inet ${table} ${set} { ${list.join(", ")} }\n`;
    })
    .join("");
}

const textValue = (parts: readonly Part[]): string => parts.map(partText).join(" . ");

export function partText(part: Part): string {
  if (isVerdict(part)) return `goto ${part.goto}`;
  return typeof part === "object" ? `${part[0]}-${part[1]}` : String(part);
}

export const isVerdict = (part: Part): part is { readonly goto: string } => typeof part === "object" && "goto" in part;
