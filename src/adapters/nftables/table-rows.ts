import type { Transport } from "../../events/fields.ts";
import { assert } from "../../lib/assert.ts";
import { formatIpv4, parseIpv4 } from "../../lib/ip.ts";
import type { ForwardRow } from "../../reducers/select/rows.ts";
import { textOfWords, wordsOf } from "./address-words.ts";
import type { ElementFields } from "./element-columns.ts";
import { ipv6Of, TCP, UDP } from "./set-elements.ts";

/** Rows that are one element of a map or set. */
export type ElementRow = Exclude<ForwardRow, { kind: "skeleton" } | { kind: "severed" }>;

/** Index in FORWARD_SETS of each kind's set. */
const SET_OF: Record<ElementRow["kind"], number> = {
  forward: 0,
  range: 1,
  outbound: 2,
  ours: 3,
  egress: 4,
  restricted: 5,
  allowed: 6,
  visited: 7,
  hostVia: 8,
  portVia: 9,
  allowedPort: 10,
  pinhole: 11,
  pinholeFrom: 12,
  pinholeFromPort: 13,
};
const KINDS = Object.keys(SET_OF) as ElementRow["kind"][];

const NUMBER_OF: Record<Transport, number> = { tcp: TCP, udp: UDP };

export const protocolNumber = (protocol: Transport): number => NUMBER_OF[protocol];

export function addressNumber(text: string): number {
  const address = parseIpv4(text);
  assert(address !== null, `rows hold canonical IPv4 addresses, not ${text}`);
  return address;
}

type PinholeRow = Extract<ElementRow, { kind: "pinhole" | "pinholeFrom" | "pinholeFromPort" }>;

const isOfPinhole = (row: ElementRow): row is PinholeRow => row.kind.startsWith("pinhole");

function fieldsOfPinhole(row: PinholeRow): ElementFields {
  const [prefix = "::", length = "0"] = "from" in row ? row.from.split("/") : [];
  const [address, source] = [wordsOf(row.address), wordsOf(prefix)];
  return {
    set: SET_OF[row.kind],
    address: address[3],
    protocol: NUMBER_OF[row.protocol],
    firstPort: row.port,
    lastPort: row.port,
    toAddress: source[3],
    toPort: Number(length),
    sourcePort: "fromPort" in row ? row.fromPort : 0,
    upper: [...address.slice(0, 3), ...source.slice(0, 3)],
  };
}

function pinholeOfFields(kind: PinholeRow["kind"], fields: ElementFields): { key: string; row: ElementRow } {
  const words = ipv6Of(fields);
  const address = textOfWords(words.address);
  const protocol: Transport = fields.protocol === TCP ? "tcp" : "udp";
  const place = { address, protocol, port: fields.firstPort } as const;
  const key = `${kind}|${address}|${protocol}|${fields.firstPort}`;
  if (kind === "pinhole") return { key, row: { kind, ...place } };
  const from = `${textOfWords(words.source)}/${fields.toPort}`;
  if (kind === "pinholeFrom") return { key: `${key}|${from}`, row: { kind, ...place, from } };
  return { key: `${key}|${from}|${fields.sourcePort}`, row: { kind, ...place, from, fromPort: fields.sourcePort } };
}

export function fieldsOfRow(row: ElementRow): ElementFields {
  if (isOfPinhole(row)) return fieldsOfPinhole(row);
  const set = SET_OF[row.kind];
  const [firstPort, lastPort] =
    "firstPort" in row ? [row.firstPort, row.lastPort] : "port" in row ? [row.port, row.port] : [0, 0];
  return {
    set,
    address: "address" in row ? addressNumber(row.address) : 0,
    protocol: "protocol" in row ? NUMBER_OF[row.protocol] : 0,
    firstPort,
    lastPort,
    ...dataOf(row),
  };
}

function dataOf(row: ElementRow): Pick<ElementFields, "toAddress" | "toPort" | "sourcePort"> {
  if (row.kind === "allowed" || row.kind === "allowedPort") {
    const [address = "", length] = row.from.split("/");
    const sourcePort = row.kind === "allowedPort" ? row.fromPort : 0;
    return { toAddress: addressNumber(address), toPort: Number(length), sourcePort };
  }
  return {
    sourcePort: 0,
    toAddress: "toAddress" in row ? addressNumber(row.toAddress) : 0,
    toPort: "toPort" in row ? row.toPort : "via" in row ? row.via : 0,
  };
}

export function rowOfFields(fields: ElementFields): { key: string; row: ElementRow } {
  const kind = KINDS[fields.set] as ElementRow["kind"];
  if (kind === "pinhole" || kind === "pinholeFrom" || kind === "pinholeFromPort") return pinholeOfFields(kind, fields);
  const protocol: Transport = fields.protocol === TCP ? "tcp" : "udp";
  const { firstPort, lastPort, toPort } = fields;
  if (kind === "ours") return { key: `ours|${protocol}|${firstPort}`, row: { kind, protocol, port: firstPort } };
  const [address, toAddress] = [formatIpv4(fields.address), formatIpv4(fields.toAddress)];
  if (kind === "egress") return { key: `egress|${address}`, row: { kind, address, toAddress } };
  if (kind === "hostVia") return { key: `hostVia|${address}`, row: { kind, address, via: toPort } };
  if (kind === "portVia") {
    const row = { kind, address, protocol, port: firstPort, via: toPort } as const;
    return { key: `portVia|${address}|${protocol}|${firstPort}`, row };
  }
  if (kind === "visited") {
    return { key: `visited|${address}|${protocol}|${firstPort}`, row: { kind, address, protocol, port: firstPort } };
  }
  if (kind === "restricted") {
    const row = { kind, address, protocol, firstPort, lastPort } as const;
    return { key: `restricted|${address}|${protocol}|${firstPort}-${lastPort}`, row };
  }
  if (kind === "allowed" || kind === "allowedPort") {
    const from = `${toAddress}/${toPort}`;
    const key = `${kind}|${address}|${protocol}|${firstPort}-${lastPort}|${from}`;
    const place = { address, protocol, firstPort, lastPort, from } as const;
    if (kind === "allowed") return { key, row: { kind, ...place } };
    return { key: `${key}|${fields.sourcePort}`, row: { kind, ...place, fromPort: fields.sourcePort } };
  }
  if (kind === "range") {
    const row = { kind, address, protocol, firstPort, lastPort, toAddress } as const;
    return { key: `range|${address}|${protocol}|${firstPort}-${lastPort}`, row };
  }
  const row = { kind, address, protocol, port: firstPort, toAddress, toPort } as const;
  return { key: `${kind}|${address}|${protocol}|${firstPort}`, row };
}
