import { formatIpv4 } from "../../lib/ip.ts";
import type { Element, ElementChange, Part } from "../../protocols/nftables-json/element.ts";
import { textOfWords } from "./address-words.ts";
import { type ElementFields, type Field, type SetLayout, viaChain } from "./element-columns.ts";
import { ipv6Of, TCP, UDP } from "./set-elements.ts";

/** `replace`: the key is there with other data; removed and added within one transaction. */
export type Operation = "add" | "delete" | "replace" | "none";
export const OPERATIONS: readonly Operation[] = ["add", "delete", "replace", "none"];

export interface FieldsChange {
  readonly operation: Operation;
  readonly fields: ElementFields;
}

/** nft commands of a slice of a plan: all that goes before all that comes, whose room it may need. */
export function elementChanges(
  table: string,
  sets: readonly SetLayout[],
  changes: readonly FieldsChange[],
): ElementChange[] {
  const pick = (op: ElementChange["op"], operations: readonly Operation[]): ElementChange[] =>
    changes
      .filter(({ operation }) => operations.includes(operation))
      .sort((left, right) => left.fields.set - right.fields.set)
      .map(({ fields }) => ({ op, element: elementOf(table, sets[fields.set] as SetLayout, fields) }));
  return [...pick("delete", ["delete", "replace"]), ...pick("add", ["add", "replace"])];
}

function elementOf(table: string, layout: SetLayout, fields: ElementFields): Element {
  const key = layout.key.map((field) => keyPart(field, fields));
  const data = layout.data.map((field) => dataPart(field, fields));
  return { table, set: layout.name, key, data: data.length === 0 ? null : data };
}

function dataPart(field: Field, { toAddress, toPort }: ElementFields): Part {
  if (field === "via") return { goto: viaChain(toPort) };
  return field === "address" ? formatIpv4(toAddress) : toPort;
}

function keyPart(field: Field, fields: ElementFields): Part {
  const { address, protocol, firstPort, lastPort, toAddress, toPort, sourcePort } = fields;
  if (field === "address6") return textOfWords(ipv6Of(fields).address);
  if (field === "source6") return `${textOfWords(ipv6Of(fields).source)}/${toPort}`;
  if (field === "source") return `${formatIpv4(toAddress)}/${toPort}`;
  if (field === "sourcePort") return sourcePort;
  if (field === "address") return formatIpv4(address);
  if (field === "protocol") return PROTOCOL_NAMES.get(protocol) ?? protocol;
  return field === "ports" && firstPort !== lastPort ? [firstPort, lastPort] : firstPort;
}

const PROTOCOL_NAMES = new Map([
  [TCP, "tcp"],
  [UDP, "udp"],
]);
