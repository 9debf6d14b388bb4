/** What the DNS server is to serve: the rows of the reconciler `dns`. Names are text, lower case, without the last dot. */
export type DnsRow = DnsNameRow | DnsZoneRow | DnsSerialRow | DnsViewRow | DnsKeyRow;

/** Key `name|<name>`. */
export interface DnsNameRow {
  readonly kind: "name";
  readonly name: string;
  /** Null: every view. */
  readonly views: readonly string[] | null;
  readonly records: readonly DnsServedRecord[];
}

export interface DnsServedRecord {
  readonly type: string;
  readonly ttl: number;
  readonly value: string;
}

/** Key `zone|<apex>`. What is in no zone and is no name of ours is forwarded. */
export interface DnsZoneRow {
  readonly kind: "zone";
  readonly apex: string;
  readonly views: readonly string[] | null;
}

/** Key `serial`: of every zone. It never goes back. */
export interface DnsSerialRow {
  readonly kind: "serial";
  readonly serial: number;
}

/** Key `view|<id>`: where it is served, and to whom. */
export interface DnsViewRow {
  readonly kind: "view";
  /** A subnet's id, or `lan:<interface>`. */
  readonly id: string;
  readonly interface: string;
  /** Whoever asks from elsewhere is refused. */
  readonly prefixes: readonly string[];
  /** Its devices' names are below it. */
  readonly zone: string;
  readonly upstreams: DnsUpstreams;
  /** Unsigned updates of the sender's own address are taken from devices that may publish names. */
  readonly unsignedUpdates: boolean;
}

export type DnsUpstreams =
  | { readonly mode: "system" }
  | { readonly mode: "custom"; readonly servers: readonly string[] };

/** Key `key|<device id>`: what its updates are signed with. */
export interface DnsKeyRow {
  readonly kind: "key";
  readonly device: string;
  readonly view: string;
  /** Its addresses: a signature from elsewhere is of no use. */
  readonly sources: readonly string[];
  /** `<device>.<zone>`. */
  readonly keyName: string;
  /** Null: it has none yet, and can only be known by its address. */
  readonly secretId: string | null;
  /** The secret is a preshared key of WireGuard, and keys are derived from it; otherwise it is the key itself. */
  readonly derived: boolean;
}

type DnsRowKind = DnsRow["kind"];

/** What a row is known by: what it is, and of what. There is one serial, of nothing. */
export const dnsKey = (kind: DnsRowKind, of = ""): string => (of === "" ? kind : `${kind}|${of}`);

/** What `dnsKey` was given. */
export function dnsKeyParts(key: string): { readonly kind: string; readonly of: string } {
  const bar = key.indexOf("|");
  return bar < 0 ? { kind: key, of: "" } : { kind: key.slice(0, bar), of: key.slice(bar + 1) };
}

export function dnsRowKey(row: DnsRow): string {
  switch (row.kind) {
    case "name":
      return dnsKey("name", row.name);
    case "zone":
      return dnsKey("zone", row.apex);
    case "serial":
      return dnsKey("serial");
    case "view":
      return dnsKey("view", row.id);
    case "key":
      return dnsKey("key", row.device);
  }
}
