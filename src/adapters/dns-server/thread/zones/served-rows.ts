import { dnsKey, dnsKeyParts, type DnsNameRow, dnsRowKey } from "../../../../lib/dns-row.ts";
import { type DomainName, parseName } from "../../../../lib/domain-name.ts";
import type { DnsRecord } from "../../../../protocols/dns/message.ts";
import { RdataTextError, recordFromText } from "../../../../protocols/dns/rdata/index.ts";
import type { ServedRow } from "../../messages.ts";
import type { Views } from "./views.ts";
import type { PublishedName, ZoneData } from "./zone-data.ts";

/** Takes rows into what is answered from. */
export class ServedRows {
  readonly #zones: ZoneData;
  readonly #views: Views;

  constructor(zones: ZoneData, views: Views) {
    this.#zones = zones;
    this.#views = views;
  }

  /** Why a row cannot be served; null once it is. */
  set(row: ServedRow): string | null {
    try {
      switch (row.kind) {
        case "name":
          this.#zones.publish(publishedName(row));
          return null;
        case "zone":
          this.#zones.setZone(nameOf(row.apex).key, row.views);
          return null;
        case "serial":
          this.#zones.setSerial(row.serial);
          return null;
        case "view":
          this.#views.set(row);
          return null;
        case "keys":
          this.#views.setKeys(row);
          return null;
      }
    } catch (cause) {
      if (cause instanceof RdataTextError) return cause.message;
      throw cause;
    }
  }

  /** By the row's key; what is not there is gone already. */
  remove(key: string): void {
    const { kind, of } = dnsKeyParts(key);
    if (kind === "view") return this.#views.remove(of);
    if (kind === "key") return this.#views.removeKeys(of);
    const name = parseName(of);
    if (name === null) return;
    if (kind === "name") this.#zones.withdraw(name.key);
    if (kind === "zone") this.#zones.removeZone(name.key);
  }
}

function nameOf(text: string): DomainName {
  const name = parseName(text);
  if (name === null) throw new RdataTextError(`"${text}" is no domain name`);
  return name;
}

function publishedName({ name: text, views, records }: DnsNameRow): PublishedName {
  const sets = new Map<number, DnsRecord[]>();
  for (const each of records) {
    const record = recordFromText({ name: text, ...each });
    const set = sets.get(record.type);
    if (set === undefined) sets.set(record.type, [record]);
    else set.push(record);
  }
  return { name: nameOf(text), views, sets };
}

/** What a row is known by on both sides: keys have the place of the row that they are made of. */
export const servedKey = (row: ServedRow): string => (row.kind === "keys" ? dnsKey("key", row.device) : dnsRowKey(row));
