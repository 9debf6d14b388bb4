import { parseIpv4, parseIpv4Prefix } from "../../lib/ip.ts";
import { type SniRow, sniRowKey } from "../../lib/sni-row.ts";
import type { SniObservation } from "../../reconcilers/sni-routes.ts";
import { FILES } from "./config.ts";

export type MapFile = typeof FILES.routes | typeof FILES.segments | typeof FILES.redirects;
export const MAP_FILES: readonly MapFile[] = [FILES.routes, FILES.segments, FILES.redirects];

export interface MapEntry {
  readonly map: MapFile;
  readonly key: string;
  readonly value: string;
}

/** As HAProxy has it, with its own name for it. */
export interface ListedEntry extends MapEntry {
  readonly reference: string;
}

const REDIRECTED = "https";

/** What a row other than "proxy" is in the maps; that one has its segments. */
export function entriesOf(row: SniRow): MapEntry[] {
  switch (row.kind) {
    case "proxy":
      return row.segments.map((segment) => ({ map: FILES.segments, key: segment, value: segment }));
    case "redirect":
      return [{ map: FILES.redirects, key: row.address, value: REDIRECTED }];
    default: {
      const key = `${row.address}:${row.port}/${row.kind === "route" ? row.name : ""}`;
      return [{ map: FILES.routes, key, value: `${row.toAddress}:${row.toPort}:${row.source}` }];
    }
  }
}

/** RFC 1123 §2.1, with the `_` that is in use; the last label tells a name from an address. */
const LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
const NAME = new RegExp(`^([*][.])?(${LABEL}[.])*(?=[0-9_-]*[a-z])${LABEL}$`);
const NAME_MAX = 253;

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536;

/** Why HAProxy could not do what a row says; it would take almost any text. */
export function faultOf(row: SniRow): string | null {
  if (row.kind === "proxy") {
    const wrong = row.segments.find((segment) => parseIpv4Prefix(segment) === null);
    return wrong === undefined ? null : `${wrong} is no IPv4 network`;
  }
  if (parseIpv4(row.address) === null) return `${row.address} is no IPv4 address`;
  if (row.kind === "redirect") return null;
  if (parseIpv4(row.toAddress) === null) return `${row.toAddress} is no IPv4 address`;
  if (!isPort(row.port) || !isPort(row.toPort)) return "there are ports from 1 to 65535";
  if (row.kind === "route" && (row.name.length > NAME_MAX || !NAME.test(row.name))) {
    return `${JSON.stringify(row.name)} is no name that a TLS client can ask for`;
  }
  return null;
}

const ROUTE = /^(\d[\d.]+):(\d+)\/(.*)$/;
const TARGET = /^(\d[\d.]+):(\d+):(keep|gateway)$/;

function rowOf({ map, key, value }: MapEntry): Exclude<SniRow, { kind: "proxy" }> | null {
  if (map === FILES.redirects) return value === REDIRECTED ? { kind: "redirect", address: key } : null;
  const [, address = "", port = "", name = ""] = ROUTE.exec(key) ?? [];
  const [, toAddress = "", toPort = "", source] = TARGET.exec(value) ?? [];
  if (source !== "keep" && source !== "gateway") return null;
  const row = { address, port: Number(port), toAddress, toPort: Number(toPort), source } as const;
  return name === "" ? { kind: "fallback", ...row } : { kind: "route", ...row, name };
}

/** The rows that these entries are, but for "proxy"; whatever is none of ours, or there twice, is astray. */
export function rowsOf(entries: readonly ListedEntry[]): Map<string, SniObservation> {
  const rows = new Map<string, SniObservation>();
  for (const entry of entries) {
    if (entry.map === FILES.segments) continue;
    const row = rowOf(entry);
    const writtenAsOurs = row !== null && entriesOf(row)[0]?.key === entry.key;
    if (row !== null && writtenAsOurs && !rows.has(sniRowKey(row))) rows.set(sniRowKey(row), row);
    else {
      const { map, reference } = entry;
      rows.set(`stray|${map}|${reference}`, { kind: "stray", map, reference });
    }
  }
  return rows;
}

/** Of a key that is there twice both: the segments of the row then are not those that are wanted. */
export const segmentsOf = (entries: readonly ListedEntry[]): string[] =>
  entries
    .filter(({ map }) => map === FILES.segments)
    .map(({ key, value }) => (key === value ? key : `${key} ${value}`))
    .sort();

/** "0x55d0c8 11.22.33.1:443/example.com 192.168.77.2:443:keep" */
export function parseListing(map: MapFile, text: string): ListedEntry[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("0x"))
    .map((line) => {
      const [reference = "", key = "", ...value] = line.split(" ");
      return { map, reference, key, value: value.join(" ") };
    });
}

/** The file that HAProxy reads when it starts. */
export const fileText = (map: MapFile, entries: readonly MapEntry[]): string =>
  entries
    .filter((entry) => entry.map === map)
    .map(({ key, value }) => `${key} ${value}\n`)
    .join("");
