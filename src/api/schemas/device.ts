import { z } from "zod";
import { askedNetworks, deviceKind, profile, right } from "../../events/device.ts";
import {
  domainName,
  hostLabel,
  interfaceName,
  ipv4,
  lifetime,
  port,
  transport,
  wanName,
  wireguardKey,
} from "../../events/fields.ts";
import { TRAFFIC_SPANS } from "../../lib/peer-activity.ts";
import { managedBy, seq, time } from "./fields.ts";

const traffic = z
  .strictObject({
    handshakeAt: time.nullable().describe("null: never since the interface was made"),
    endpoint: z.string().nullable().describe("where its packets come from now"),
    receivedBytes: z.number().int(),
    sentBytes: z.number().int(),
  })
  .describe("what WireGuard says of it now; null on a LAN");

export const deviceSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    registered: z.boolean().describe("false: an address that holds a port and that nobody registered"),
    kind: deviceKind.nullable(),
    subnet: z.strictObject({ id: z.string(), name: z.string() }).nullable().describe("null on a LAN"),
    interface: z.string().nullable().describe("null while the WireGuard interface is not there"),
    address: z.string(),
    ipv6: z.string().nullable(),
    rights: z.strictObject({ ports: right, dns: right }).nullable(),
    dnsName: z.string().nullable().describe("what it is called by itself; null: nobody is served DNS there"),
    zones: z.array(z.string()).describe("delegated to it: it may publish all at or below them"),
    mapsFor: z.array(z.string()).describe("hosts of these networks it may ask for ports in the place of"),
    wan: z.string().nullable().describe("its own; null: its subnet's"),
    externalAddress: z.string().nullable().describe("what it leaves by and is reachable at; null: none now"),
    profile: profile.nullable().describe("of its client configuration; null on a LAN"),
    publicKey: z.string().nullable(),
    privateKeyKept: z.boolean().describe("true: its configuration can be shown whole"),
    expiresAt: time.nullable(),
    mappings: z.array(z.string()).describe("ids of the ports it holds a claim on"),
    ports: z.number().int(),
    quota: z.strictObject({ mappings: z.number().int(), ports: z.number().int(), events: z.number().int() }),
    eventsLeft: z.number().int().describe("how many changes it may make at once now"),
    tunnel: traffic.nullable(),
    managedBy,
    revision: seq.nullable(),
  })
  .meta({ id: "Device" });
export type DeviceDocument = z.infer<typeof deviceSchema>;

export const trafficQuery = z.strictObject({
  span: z.enum(TRAFFIC_SPANS).default("day").describe("day if left out; quarter-hour has finer steps"),
});

export const trafficSchema = z
  .strictObject({
    span: z.enum(TRAFFIC_SPANS),
    slotSeconds: z.number().int(),
    slots: z
      .array(z.strictObject({ at: time, receivedBytes: z.number().nonnegative(), sentBytes: z.number().nonnegative() }))
      .describe("oldest first, the last one not full yet; none before its first handshake. Sampled, in memory only"),
  })
  .meta({ id: "Traffic" });
export type TrafficDocument = z.infer<typeof trafficSchema>;

const fields = {
  ports: right.describe("may it open ports: auto, ask first, or off"),
  dns: right.describe("may it publish names"),
  zones: z.array(domainName).max(16).describe("delegated to it: it may publish all at or below them"),
  mapsFor: askedNetworks.describe("hosts and networks that it may ask for ports in the place of, by PCP THIRD_PARTY"),
  wan: wanName.nullable().describe("a WAN interface or one of its addresses; null: its subnet's"),
  lifetime: lifetime.nullable().describe("seconds until it is removed by itself; null: never"),
  profile: profile.nullable().describe("null: the one its kind has"),
};

export const deviceAdd = z
  .strictObject({
    name: hostLabel,
    kind: deviceKind.default("client"),
    subnet: z.string().max(63).nullable().default(null).describe("name or id; null: the only one there is"),
    interface: interfaceName.nullable().default(null).describe("a served LAN instead of a subnet"),
    address: ipv4.nullable().default(null).describe("null: the first free one of the subnet"),
    publicKey: wireguardKey
      .nullable()
      .default(null)
      .describe("of a device that made its key itself; null: we make one"),
    ports: fields.ports.nullable().default(null).describe("null: what its kind has"),
    dns: fields.dns.nullable().default(null).describe("null: what its kind has"),
    zones: fields.zones.default([]),
    mapsFor: fields.mapsFor.default([]),
    wan: fields.wan.default(null),
    lifetime: fields.lifetime.default(null),
    profile: fields.profile.default(null),
  })
  .meta({ id: "DeviceAdd" });

export const deviceEdit = z
  .strictObject({
    name: hostLabel.optional(),
    kind: deviceKind.optional().describe("another kind resets both rights"),
    address: ipv4.optional(),
    ports: fields.ports.optional(),
    dns: fields.dns.optional(),
    zones: fields.zones.optional(),
    mapsFor: fields.mapsFor.optional(),
    wan: fields.wan.optional(),
    lifetime: fields.lifetime.optional(),
    profile: fields.profile.optional(),
  })
  .meta({ id: "DeviceEdit" });

export const deviceConfigSchema = z
  .strictObject({
    name: z.string(),
    profile,
    filename: z.string(),
    text: z.string().describe("of a wg-quick file; holds the private key"),
    qr: z.string().describe("SVG of the same text"),
    notes: z.array(z.string()).describe("what to know before using it: sentences"),
  })
  .meta({ id: "DeviceConfig" });
export type DeviceConfigDocument = z.infer<typeof deviceConfigSchema>;

export const allowanceSchema = z
  .strictObject({ device: z.string(), protocol: transport, internalPort: port })
  .meta({ id: "Allowance" });
