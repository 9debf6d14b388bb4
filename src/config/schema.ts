import { z } from "zod";
import { interfaceName, port } from "../events/fields.ts";
import { hasGeneralUpstream, parseUpstream } from "../lib/dns-upstream.ts";
import { endpointAt } from "../lib/endpoint.ts";
import { nameText } from "../lib/domain-name.ts";
import { isPublicSuffix } from "../lib/public-suffix.ts";
import { parseIpv4 } from "../lib/ip.ts";

/**
 * The configuration file: how the daemon starts. What people ask for (ports, pauses, blocks) lives in the log and is
 * never in here. Every key is optional; an unknown one is an error.
 */

const path = z.string().min(1).startsWith("/", "must be an absolute path");
const positive = z.number().int().positive();

/** "127.0.0.1:8351", "[::1]:8351", "localhost:8351"; null where it is something else. */
export function parseListen(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[(?<v6>[0-9a-f:]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/i.exec(text);
  const host = match?.groups?.["v6"] ?? match?.groups?.["host"];
  const number = Number(match?.groups?.["port"]);
  return host === undefined || number > 65535 ? null : { host, port: number };
}

export function isLoopbackHost(host: string): boolean {
  const address = parseIpv4(host);
  return host === "localhost" || host === "::1" || (address !== null && address >>> 24 === 127);
}

const listen = z.string().refine((text) => parseListen(text) !== null, "must be ADDRESS:PORT, as in 127.0.0.1:8351");

/** "gw.example.org", "gw.example.org:443", "203.0.113.5". */
const hostName = z
  .string()
  .max(253)
  .regex(
    /^(?:[A-Za-z0-9_.-]+(?::\d{1,5})?|[0-9A-Fa-f:]+|\[[0-9A-Fa-f:]+\]:\d{1,5})$/,
    "must be a name or an address, as in gw.example.org",
  );

const tls = z.union(
  [z.enum(["off", "own-ca"]), z.strictObject({ certificate: path, key: path })],
  "must be off, own-ca, or { certificate: FILE, key: FILE }",
);

const api = z
  .strictObject({
    listen: listen.nullable().default("127.0.0.1:8351"),
    /** own-ca: a certificate by an authority of our own; or one that somebody else renews. */
    tls: tls.default("off"),
    /** Names that browsers use for the gateway, besides its addresses. */
    hosts: z.array(hostName).max(64).default([]),
  })
  .refine(({ listen, tls }) => tls !== "off" || listen === null || isLoopbackHost(parseListen(listen)?.host ?? ""), {
    error: "must be a loopback address unless `api.tls` is on: passwords would be readable on the way",
    path: ["listen"],
  });

/** Said by the contract of the file, not yet done by this version: refused, so that nobody relies on it. */
const notYet = (what: string) => `is not built yet: ${what}`;

const role = z
  .enum(["gateway", "host"])
  .refine((value) => value !== "host", notYet("this version is a gateway only; leave `roles` at [gateway]"));

/** As it may be written anywhere: "Home.Arpa." too. */
const domainText = z
  .string()
  .refine((text) => (nameText(text) ?? ".") !== ".", "must be a domain name, as in home.example.org");

const lan = z.strictObject({
  interface: interfaceName,
  devices: z.enum(["any", "known"]).default("any"),
  nonce: z.enum(["strict", "same-host"]).default("strict"),
  dns: z.boolean().default(false),
  dnsUpdates: z.enum(["signed", "own-address"]).default("signed"),
  /** Its devices' names are below it. */
  zone: domainText.nullable().default(null),
});

const lifetime = z
  .strictObject({ pcpMin: positive.default(120), max: positive.max(0xffffffff).default(86400) })
  .refine(({ pcpMin, max }) => pcpMin <= max, { error: "pcpMin must not be more than max", path: ["pcpMin"] });

const portControl = z.strictObject({
  pcp: z.boolean().default(true),
  natpmp: z.boolean().default(true),
  upnp: z.boolean().default(true),
  lifetime: lifetime.prefault({}),
  quarantine: z.number().int().nonnegative().default(120),
  protectedPorts: z.array(port).default([22]),
  perDevice: z
    .strictObject({
      mappings: positive.default(256),
      ports: positive.default(2048),
      requestsPerSecond: positive.default(50),
      eventsPerMinute: positive.default(20),
      eventBurst: positive.default(512),
    })
    .prefault({}),
});

const wireguard = z
  .strictObject({
    interface: interfaceName.default("wg-portreeve"),
    listenPort: port.default(51820),
    endpoint: z
      .string()
      .refine(
        (text) => text === "auto" || endpointAt(text, 51820) !== null,
        "must be auto or HOST[:PORT], as in gw.example.org:51820",
      )
      .default("auto"),
    nonce: z.enum(["strict", "same-host"]).default("same-host"),
  })
  .nullable();

const log = z.strictObject({
  level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
  retain: z.strictObject({ events: positive.default(1_000_000), days: positive.default(365) }).prefault({}),
});

const wan = z.strictObject({
  interfaces: z.array(interfaceName).max(16).default([]),
  externalAddress: z
    .string()
    .refine((text) => text === "auto" || parseIpv4(text) !== null, "must be auto or an IPv4 address")
    .default("auto"),
  httpRedirect: z.enum(["auto", "on", "off"]).default("auto"),
});

const upstream = z
  .string()
  .max(255)
  .superRefine((text, context) => {
    const parsed = parseUpstream(text);
    if ("fault" in parsed) context.addIssue({ code: "custom", message: `has no good upstream: ${parsed.fault}` });
  });

const upstreams = z
  .array(upstream)
  .min(1)
  .max(32)
  .refine(hasGeneralUpstream, "has no upstream for all names: add one without [/domain/], or system");

const dns = z.strictObject({
  listenPort: port.default(53),
  /** Who is asked what is not ours: the resolvers of this machine, or these; a subnet may have its own. */
  upstreams: z
    .union([z.literal("system"), upstreams], "must be system or a list, as in [9.9.9.9, tls://1.1.1.1#one.one.one.one]")
    .default("system"),
  rebinding: z
    .strictObject({
      /** Upstreams may answer private addresses for these domains and what is below them. */
      allow: z.array(domainText).max(256).default([]),
    })
    .prefault({}),
  /** Keeps the last queries in memory, and nowhere else, for `dns queries`. */
  queryLog: z.boolean().default(false),
  privateZones: z.array(domainText).max(64).default(["home.arpa", "internal", "lan"]),
  /** No device may publish them, or what is below them. */
  protectedNames: z.array(domainText).max(128).default([]),
  perDevice: z.strictObject({ records: positive.default(1024) }).prefault({}),
});

const onlyOnce = (names: readonly string[]): boolean => new Set(names).size === names.length;

const sections = z.strictObject({
  dataDir: path.default("/var/lib/portreeve"),
  masterKeyFile: path.default("/etc/portreeve/master.key"),
  runtimeDir: path.default("/run/portreeve"),
  log: log.prefault({}),
  roles: z.array(role).min(1).default(["gateway"]),
  api: api.prefault({}),
  wan: wan.prefault({}),
  lan: z
    .array(lan)
    .max(64)
    .refine((lans) => onlyOnce(lans.map((each) => each.interface)), "names an interface twice")
    .default([]),
  wireguard: wireguard.prefault({}),
  portControl: portControl.prefault({}),
  dns: dns.prefault({}),
  host: z.strictObject({}).prefault({}),
});

/** As `subnet edit --zone` refuses it. */
export const configSchema = sections.superRefine(({ lan: lans, dns: { privateZones } }, context) => {
  const own = privateZones.map(nameText);
  for (const [index, { zone }] of lans.entries()) {
    const text = zone === null ? null : nameText(zone);
    if (text === null || !isPublicSuffix(text) || own.includes(text)) continue;
    const message = `is ${text}, where others register names, which would not be found any more; name one of your own below it, or list it under dns.privateZones`;
    context.addIssue({ code: "custom", path: ["lan", index, "zone"], message });
  }
});
export type Config = z.infer<typeof configSchema>;

/** For editors and `config schema`. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: "input" });
  return { ...schema, title: "Portreeve configuration" };
}
