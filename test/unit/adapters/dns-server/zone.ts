import { ZoneData, type SeenBy } from "../../../../src/adapters/dns-server/thread/zones/zone-data.ts";
import { answerFrom, type Answered } from "../../../../src/adapters/dns-server/thread/zones/authority.ts";
import { formatName, type DomainName, parseName } from "../../../../src/lib/domain-name.ts";
import { CLASS, TYPE, typeName } from "../../../../src/protocols/dns/constants.ts";
import type { DnsRecord, RecordData } from "../../../../src/protocols/dns/message.ts";

export function name(text: string): DomainName {
  const parsed = parseName(text);
  if (parsed === null) throw new Error(`${text} is no name`);
  return parsed;
}

/** "A 10.0.0.1", "CNAME b.z", "TXT hello", "PTR a.z"; ten seconds' TTL. */
export function record(owner: string, text: string): DnsRecord {
  const [type = "", value = ""] = text.split(" ");
  return {
    name: name(owner),
    type: TYPE[type as keyof typeof TYPE],
    class: CLASS.IN,
    ttl: 10,
    data: dataOf(type, value),
  };
}

function dataOf(type: string, value: string): RecordData {
  switch (type) {
    case "A":
    case "AAAA":
      return { kind: type, address: value };
    case "CNAME":
    case "PTR":
      return { kind: type, target: name(value) };
    default:
      return { kind: "TXT", strings: [new TextEncoder().encode(value)] };
  }
}

export type Published = Readonly<Record<string, readonly string[]>>;

export function publish(data: ZoneData, owner: string, texts: readonly string[], views: SeenBy = null): void {
  const sets = new Map<number, DnsRecord[]>();
  for (const each of texts.map((text) => record(owner, text)))
    sets.set(each.type, [...(sets.get(each.type) ?? []), each]);
  data.publish({ name: name(owner), views, sets });
}

export function zoneData(zones: readonly string[], published: Published): ZoneData {
  const data = new ZoneData();
  for (const apex of zones) data.setZone(name(apex).key, null);
  for (const [owner, texts] of Object.entries(published)) publish(data, owner, texts);
  return data;
}

export const HERE = { view: "home", servers: ["10.59.0.1", "fd00::1"] };

export function ask(data: ZoneData, owner: string, type: keyof typeof TYPE, view = "home"): Answered | null {
  return answerFrom(data, { ...HERE, view }, { name: name(owner), type: TYPE[type], class: CLASS.IN });
}

/** "a.z A 10.0.0.1" a record; what is not looked at closely is its type only. */
export function lines(records: readonly DnsRecord[]): string[] {
  return records.map(({ name: owner, type, data }) => {
    const value = "address" in data ? data.address : "target" in data ? formatName(data.target) : "";
    const text = data.kind === "TXT" ? new TextDecoder().decode(data.strings[0]) : value;
    return [formatName(owner), typeName(type), text].filter((part) => part !== "").join(" ");
  });
}
