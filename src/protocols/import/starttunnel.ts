import { z } from "zod";
import { Collection } from "./collection.ts";
import { ImportError } from "./error.ts";
import { address, key, name, readJson, readSocket } from "./json.ts";
import type { Imported, ImportedSubnet, PublicKeyOf } from "./model.ts";

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/**
 * A StartTunnel database as `start-tunnel db dump` prints it: the document itself, or beside its revision. Members that
 * later versions add are let pass.
 */
const client = z.looseObject({
  name,
  key,
  psk: key,
  kind: z.enum(["server", "client"]).default("client"),
  allowDnsInjection: z.boolean().default(false),
  allowAutoPortForward: z.boolean().default(false),
  wanIp: address.nullish(),
});
const dns = z.looseObject({
  mode: z.string().max(32),
  device: address.nullish(),
  servers: z.array(z.string().max(64)).max(8).nullish(),
});
const subnet = z.looseObject({
  name,
  dns: dns.nullish(),
  wanIp: address.nullish(),
  clients: z.record(z.string(), client).default({}),
});
const dnat = z.looseObject({
  kind: z.literal("dnat"),
  target: z.string(),
  label: name.nullish(),
  enabled: z.boolean().default(true),
  count: z.number().int().min(1).max(65535).default(1),
  auto: z.boolean().default(false),
});
/** The first versions knew one kind only and did not say it. */
const forward = z.preprocess(
  (each) => (isObject(each) && !("kind" in each) ? { ...each, kind: "dnat" } : each),
  z.discriminatedUnion("kind", [dnat, z.looseObject({ kind: z.literal("sni") })]),
);
const database = z.looseObject({
  wg: z.looseObject({
    port: z.number().int().min(1).max(65535).default(51820),
    key: key.nullish(),
    subnets: z.record(z.string(), subnet).default({}),
  }),
  portForwards: z.record(z.string(), forward).default({}),
  dnsRecords: z.unknown().optional(),
});
const dump = z.preprocess(
  (json) => (isObject(json) && !("wg" in json) && "value" in json ? json["value"] : json),
  database,
);

const DEFAULT_PORT = 51820;

export function parseStartTunnel(text: string, publicKeyOf: PublicKeyOf): Imported {
  const { wg, portForwards, dnsRecords } = readJson(text, dump);
  const found = new Collection("starttunnel");
  found.gatewayKey = wg.key ?? null;
  if (found.gatewayKey === null) {
    found.note("the dump has no gateway key: every device needs a new configuration");
  }
  if (wg.port !== DEFAULT_PORT) {
    found.note(`its devices know UDP port ${wg.port}: set wireguard.listenPort to that in the configuration`);
  }
  for (const [prefix, each] of Object.entries(wg.subnets)) readSubnet(found, prefix, each, publicKeyOf);
  readForwards(found, portForwards);
  if (hasContent(dnsRecords))
    found.note(
      "its DNS records are not imported: devices put theirs again by themselves, `portreeve dns add` makes the others",
    );
  found.note("not imported: its accounts, sessions, certificate and redirects from HTTP");
  return found.end();
}

const hasContent = (value: unknown): boolean => isObject(value) && Object.keys(value).length > 0;

function readSubnet(found: Collection, prefix: string, each: z.infer<typeof subnet>, publicKeyOf: PublicKeyOf): void {
  const wan = each.wanIp ?? null;
  const name = found.subnet(each.name, { prefix, wan, dns: { mode: "system" } });
  const names = new Map<string, string>();
  for (const [address, { key: privateKey, psk, ...fields }] of Object.entries(each.clients)) {
    const publicKey = publicKeyOf(privateKey);
    const rights = {
      ports: fields.allowAutoPortForward ? "auto" : "off",
      dns: fields.allowDnsInjection ? "auto" : "off",
    } as const;
    const device = { kind: fields.kind, subnet: name, address, publicKey, wan: fields.wanIp ?? null } as const;
    const keys = { privateKey, presharedKey: psk };
    names.set(address, found.device(fields.name, { ...device, ...rights, profile: "starttunnel" }, keys));
  }
  found.setDns(name, dnsOf(found, name, each.dns ?? null, names));
}

function dnsOf(
  found: Collection,
  subnet: string,
  said: z.infer<typeof dns> | null,
  names: ReadonlyMap<string, string>,
): ImportedSubnet["dns"] {
  const device = said?.mode === "device" ? names.get(said.device ?? "") : undefined;
  if (device !== undefined) return { mode: "device", device };
  if (said?.mode === "custom" && (said.servers ?? []).length > 0)
    return { mode: "custom", servers: said.servers ?? [] };
  if (said !== null && !["default", "system"].includes(said.mode)) {
    found.note(`the DNS servers of ${subnet} are not imported: its gateway answers by those of this machine`);
  }
  return { mode: "system" };
}

/** Each of its forwards is of both transports. */
function readForwards(found: Collection, forwards: Readonly<Record<string, z.infer<typeof forward>>>): void {
  const manual = Object.entries(forwards).filter(([, each]) => each.kind === "dnat" && !each.auto);
  const wans = new Set(manual.map(([source]) => readSocket(source)?.host));
  for (const [source, each] of Object.entries(forwards)) {
    if (each.kind === "sni") {
      found.note(`the names served on ${source.slice(0, 64)} (SNI) are not imported`);
      continue;
    }
    if (each.auto) {
      found.note(`${source.slice(0, 64)} was asked for by a device, which asks again by itself`);
      continue;
    }
    const [outside, target] = [readSocket(source), readSocket(each.target)];
    if (outside === null || target === null)
      throw new ImportError("portForwards: an address and port like 10.59.7.2:443 is expected");
    const last = outside.port + each.count - 1;
    const range = each.count === 1 ? `${outside.port}` : `${outside.port}-${last}`;
    for (const transport of ["tcp", "udp"] as const) {
      found.port(each.label ? `${each.label.slice(0, 58)} ${transport}` : `${range}/${transport}`, {
        port: `${range}/${transport}`,
        to: `${target.host}:${target.port}`,
        enabled: each.enabled,
        wan: wans.size > 1 ? outside.host : null,
      });
    }
  }
}
