import { z } from "zod";
import { domainName, managedBy, objectName, optionalFields, wanName } from "./fields.ts";

/** Stable, derived from the request: "n" and 12 hex digits. */
const id = z.string().regex(/^n[0-9a-f]{12}$/);

/** Who answers its devices' DNS queries: the machine's upstreams, upstreams of its own, or one of its devices. */
export const subnetDns = z.discriminatedUnion("mode", [
  z.strictObject({ mode: z.literal("system") }),
  z.strictObject({ mode: z.literal("custom"), servers: z.array(z.string().min(1).max(255)).min(1).max(8) }),
  z.strictObject({ mode: z.literal("device"), device: z.string() }),
]);
export type SubnetDns = z.infer<typeof subnetDns>;

const editable = {
  name: objectName,
  /** The WAN its devices leave by and are reachable at; null: the preferred one. */
  wan: wanName.nullable(),
  /** "fd12:3456:789a::/64"; null: no IPv6. */
  ipv6Prefix: z.cidrv6().nullable(),
  dns: subnetDns,
  /** Its devices' names are below it; null: one is made of its name. */
  zone: domainName.nullable(),
};

/** A WireGuard subnet of ours. */
export const subnetAdded = z.strictObject({
  id,
  /** "10.59.7.1/24": the gateway's own address, the first host, with the prefix length. */
  prefix: z.cidrv4(),
  managedBy,
  ...editable,
});
export type SubnetAdded = z.infer<typeof subnetAdded>;

/** An operator's edit; only the fields that changed. */
export const subnetChanged = z.strictObject({ id, ...optionalFields(editable) });

export const subnetRemoved = z.strictObject({ id });
