import { z } from "zod";
import { domainName, givenName, wanName } from "../../events/fields.ts";
import { subnetDns } from "../../events/subnet.ts";
import { managedBy, seq } from "./fields.ts";

export const subnetSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    prefix: z.string().describe("of the whole network, as in 10.59.7.0/24"),
    gateway: z.string().describe("our own address in it"),
    ipv6Prefix: z.string().nullable(),
    wan: z.string().nullable().describe("null: the preferred one"),
    externalAddress: z.string().nullable().describe("what its devices leave by and are reachable at; null: none now"),
    dns: subnetDns,
    zone: z.string().describe("its devices' names are below it"),
    zoneIsDefault: z.boolean().describe("true: made of its name, and changing with it"),
    devices: z.number().int(),
    managedBy,
    revision: seq,
  })
  .meta({ id: "Subnet" });
export type SubnetDocument = z.infer<typeof subnetSchema>;

const fields = {
  wan: wanName.nullable().describe("a WAN interface or one of its addresses; null: the preferred WAN"),
  ipv6Prefix: z.cidrv6().nullable(),
  dns: subnetDns,
  zone: domainName.nullable().describe("its devices' names are below it; null: one is made of its name"),
};

export const subnetAdd = z
  .strictObject({
    name: givenName,
    prefix: z
      .string()
      .max(32)
      .nullable()
      .default(null)
      .describe("as in 10.59.7.0/24; the first host is the gateway. null: a free one is chosen"),
    wan: fields.wan.default(null),
    ipv6Prefix: fields.ipv6Prefix.default(null),
    dns: fields.dns.default({ mode: "system" }),
    zone: fields.zone.default(null),
  })
  .meta({ id: "SubnetAdd" });

export const subnetEdit = z
  .strictObject({
    name: givenName.optional(),
    wan: fields.wan.optional(),
    ipv6Prefix: fields.ipv6Prefix.optional(),
    dns: fields.dns.optional(),
    zone: fields.zone.optional(),
  })
  .meta({ id: "SubnetEdit" });
