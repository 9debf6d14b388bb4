import { z } from "zod";
import { nameText } from "../lib/domain-name.ts";
import { askedNetworks, deviceKind, profile, right } from "./device.ts";
import { TTL_MAX } from "./dns.ts";
import {
  domainName,
  givenLabel,
  givenName,
  hostLabel,
  interfaceName,
  ipv4,
  serverName,
  wanName,
  wireguardKey,
} from "./fields.ts";
import { askedSources, sourceAddress } from "./mapping.ts";

/**
 * What an operator wants to be there, written down as a whole: subnets, devices and forwards by name. What it makes bears
 * its name, and nothing else is ever changed on its account. A member that is left out has its default, not what it has now.
 */

const OBJECTS_MAX = 16_384;

const wan = wanName.nullable().default(null);

const subnet = z.strictObject({
  name: givenName,
  prefix: z.string().max(32).nullable().default(null).describe("as in 10.59.7.0/24; null: a free one is chosen once"),
  wan: wan.describe("null: the preferred WAN"),
  ipv6Prefix: z.cidrv6().nullable().default(null),
  dns: z
    .discriminatedUnion("mode", [
      z.strictObject({ mode: z.literal("system") }),
      z.strictObject({ mode: z.literal("custom"), servers: z.array(z.string().min(1).max(255)).min(1).max(8) }),
      z.strictObject({ mode: z.literal("device"), device: hostLabel.describe("name of one of its devices") }),
    ])
    .default({ mode: "system" }),
  zone: domainName.nullable().default(null).describe("its devices' names are below it; null: one is made of its name"),
});
export type DeclaredSubnet = z.infer<typeof subnet>;

const device = z
  .strictObject({
    name: hostLabel,
    kind: deviceKind.default("client"),
    subnet: givenName.nullable().default(null).describe("name of a subnet"),
    interface: interfaceName.nullable().default(null).describe("a served LAN instead of a subnet"),
    address: ipv4.nullable().default(null).describe("null: the first free one of the subnet, chosen once"),
    publicKey: wireguardKey.nullable().default(null).describe("null: a key is made here"),
    ports: right.nullable().default(null).describe("null: what its kind has"),
    dns: right.nullable().default(null).describe("null: what its kind has"),
    zones: z.array(domainName).max(16).default([]).describe("delegated to it"),
    mapsFor: askedNetworks.default([]).describe("hosts and networks that it may ask for ports in the place of"),
    wan: wan.describe("null: its subnet's"),
    profile: profile.nullable().default(null).describe("null: the one its kind has"),
  })
  .refine((each) => (each.subnet === null) !== (each.interface === null), {
    error: "must be on a subnet or on a LAN: name one of the two, as in `subnet: home` or `interface: lan0`",
    path: ["subnet"],
  })
  .refine((each) => each.interface === null || each.address !== null, {
    error: "must be there: a device on a LAN is known by its address",
    path: ["address"],
  });
export type DeclaredDevice = z.infer<typeof device>;

const port = z.strictObject({
  name: givenLabel.min(1).describe("its label, by which it is known"),
  port: z
    .string()
    .refine((text) => parsePorts(text) !== null, "must be the external port, as in 8443/tcp or 6881-6889/udp"),
  to: z
    .string()
    .max(128)
    .refine((text) => parseTarget(text) !== null, "must be a device or an address, as in nas:443 or 192.168.7.2:443"),
  hostname: serverName
    .nullable()
    .default(null)
    .describe("one TLS name of a TCP port that is shared, or *. and a name; null: the whole port"),
  enabled: z.boolean().default(true),
  wan: wan.describe("null: the WAN of where it leads to"),
  from: askedSources.default([]).describe("the only networks it is reached from; empty: everywhere"),
  source: sourceAddress
    .nullable()
    .default(null)
    .describe("what the host sees of visitors: `keep` for their address, or `gateway`; null: by its profile"),
});
export type DeclaredPort = z.infer<typeof port>;

const record = z.strictObject({
  name: z
    .string()
    .max(1024)
    .refine((text) => (nameText(text) ?? ".") !== ".", "must be a name, as in printer.home.arpa"),
  type: z.string().min(1).max(16).describe("A, AAAA, CNAME, TXT…"),
  value: z.string().min(1).max(4096).describe("as in a zone file; a text without quotes is one string"),
  ttl: z.number().int().min(0).max(TTL_MAX).nullable().default(null).describe("seconds; null: 300"),
});
export type DeclaredRecord = z.infer<typeof record>;

export const declaration = z
  .strictObject({
    name: givenName.describe("marks what it makes"),
    subnets: z.array(subnet).max(OBJECTS_MAX).default([]),
    devices: z.array(device).max(OBJECTS_MAX).default([]),
    ports: z.array(port).max(OBJECTS_MAX).default([]),
    records: z.array(record).max(OBJECTS_MAX).default([]).describe("of the DNS, seen by everyone"),
  })
  .superRefine((whole, context) => {
    for (const list of ["subnets", "devices", "ports"] as const) {
      const seen = new Set<string>();
      for (const [index, { name }] of whole[list].entries()) {
        const same = list === "ports" ? name : name.toLowerCase();
        if (seen.has(same)) {
          const path = [list, index, "name"];
          context.addIssue({ code: "custom", path, message: `is there twice: ${name}`, input: name });
        }
        seen.add(same);
      }
    }
  })
  .meta({ id: "Declaration" });
export type Declaration = z.infer<typeof declaration>;

/** "8443/tcp", "6881-6889/udp"; null where it is something else. */
export function parsePorts(text: string): { protocol: "tcp" | "udp"; externalPort: number; count: number } | null {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?\/(tcp|udp)$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null || first < 1 || last > 65535 || last < first) return null;
  return { protocol: match[3] as "tcp" | "udp", externalPort: first, count: last - first + 1 };
}

/** "nas:443", "nas", "192.168.7.2:443"; the port is null where it is the external one. */
export function parseTarget(text: string): { host: string; port: number | null } | null {
  const match = /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?$/.exec(text);
  const number = match?.[2] === undefined ? null : Number(match[2]);
  if (match === null || (number !== null && (number < 1 || number > 65535))) return null;
  const host = match[1] as string;
  return ipv4.safeParse(host).success || hostLabel.safeParse(host).success ? { host, port: number } : null;
}
