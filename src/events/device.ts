import { z } from "zod";
import {
  domainName,
  hostLabel,
  instant,
  interfaceName,
  ipv4,
  managedBy,
  optionalFields,
  port,
  secretId,
  transport,
  wanName,
  wireguardKey,
} from "./fields.ts";

/** Stable, derived from the request: "d" and 12 hex digits. */
export const deviceId = z.string().regex(/^d[0-9a-f]{12}$/);

/** `server`: trusted to open ports and to publish names; `client`: neither, until allowed. */
export const deviceKind = z.enum(["server", "client"]);
export type DeviceKind = z.infer<typeof deviceKind>;

/** `auto`: what it asks for is given. `ask`: a request waits for an admin's yes. `off`: refused. */
export const right = z.enum(["auto", "ask", "off"]);
export type Right = z.infer<typeof right>;

/** Which client configuration it is given; W3 of the product's features. */
export const profile = z.enum(["starttunnel", "inbound", "full", "split"]);
export type Profile = z.infer<typeof profile>;

const editable = {
  name: hostLabel,
  kind: deviceKind,
  /** It may map ports by PCP, NAT-PMP, UPnP. */
  ports: right,
  /** It may publish names by DNS UPDATE. */
  dns: right,
  /** The WAN it leaves by and is reachable at; null: its subnet's. */
  wan: wanName.nullable(),
  /** Gateway time at which it is removed; null: never. */
  expiresAt: instant.nullable(),
  /** Null: the one its kind has. */
  profile: profile.nullable(),
  address: ipv4,
  publicKey: wireguardKey.nullable(),
  /** Null where the device made its key itself, or ours was erased. */
  privateKeySecret: secretId.nullable(),
  presharedKeySecret: secretId.nullable(),
  /** What its DNS updates are signed with on a LAN; null on a subnet, where the key is made of the preshared one. */
  dnsKeySecret: secretId.nullable(),
  /** It may publish any name at or below them, and they are served from here alone. */
  zones: z.array(domainName).max(16),
  /** Hosts of these networks it may ask for ports in the place of (RFC 6887 §13.1: THIRD_PARTY). */
  mapsFor: z.array(z.cidrv4()).max(16),
};

/** A device that an operator registered: on one of our subnets, or on a served LAN. */
export const deviceAdded = z.strictObject({
  id: deviceId,
  /** Its subnet; null on a LAN. */
  subnet: z.string().nullable(),
  /** The LAN's interface; null on a subnet. */
  interface: interfaceName.nullable(),
  managedBy,
  ...editable,
});
export type DeviceAdded = z.infer<typeof deviceAdded>;

/** As they are asked for: single hosts too. */
export const askedNetworks = z.array(z.union([z.cidrv4(), ipv4])).max(16);

/** An operator's edit; only the fields that changed. */
export const deviceChanged = z.strictObject({ id: deviceId, ...optionalFields(editable) });
export type DeviceChanged = z.infer<typeof deviceChanged>;

/** `subnet`: it went with its subnet. */
export const deviceRemoved = z.strictObject({ id: deviceId, reason: z.enum(["operator", "expired", "subnet"]) });

/** An operator's yes to one port that a device with the right `ask` asked for; it holds until it is withdrawn. */
export const allowanceGranted = z.strictObject({ device: deviceId, protocol: transport, internalPort: port });
export const allowanceWithdrawn = z.strictObject({ device: deviceId, protocol: transport, internalPort: port });

/** Somebody was shown a secret, or was given a link that shows a configuration; the record's source says who. */
export const secretShown = z.strictObject({ device: deviceId, what: z.enum(["config", "key", "link", "dns-key"]) });

/** The key of our own WireGuard interface. */
export const wireguardKeyed = z.strictObject({ publicKey: wireguardKey, privateKeySecret: secretId });
