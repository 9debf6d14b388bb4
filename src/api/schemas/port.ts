import { z } from "zod";
import {
  claimSource,
  hostAddress,
  ipv4,
  givenLabel,
  interfaceName,
  lifetime,
  port,
  transport,
} from "../../events/fields.ts";
import { managedBy, seq, time } from "./fields.ts";
import { askedSources, sourceAddress } from "../../events/mapping.ts";

export const condition = z
  .strictObject({
    type: z.enum(["Synced", "Healthy", "Reachable"]),
    status: z.enum(["True", "False", "Unknown"]),
    reason: z.string(),
    message: z.string(),
    since: time.nullable(),
    observedRevision: seq,
  })
  .meta({ id: "Condition" });
export type Condition = z.infer<typeof condition>;

const address = z.strictObject({ address: z.string(), port });

export const portSchema = z
  .strictObject({
    id: z.string(),
    protocol: transport,
    external: z.strictObject({ address: z.string().nullable().describe("null while the WAN has none"), port }),
    internal: address,
    count: z.number().int().positive().describe("consecutive ports from the first ones"),
    wan: z.string().describe("of a pinhole, which is there by every WAN, its host's own address"),
    source: claimSource.describe("of the oldest claim"),
    claims: z.array(
      z.strictObject({
        source: claimSource,
        device: z.string().nullable(),
        expiresAt: time.nullable(),
        peers: z
          .array(z.string())
          .describe(
            "whom it wants in, as 203.0.113.0/24 or 198.51.100.7/32:5060; empty: everyone; each claim has its own in",
          ),
        description: z.string().nullable().describe("what the client calls it"),
        enabled: z.boolean().describe("false: it is kept, and nothing is forwarded for its sake"),
      }),
    ),
    device: z.strictObject({ id: z.string(), name: z.string() }).nullable(),
    label: z.string().nullable(),
    name: z
      .string()
      .nullable()
      .describe("the TLS name that a route is for; null: the whole port, or what no route is for"),
    enabled: z.boolean(),
    managedBy,
    sourceAddress: z
      .enum(["keep", "gateway"])
      .describe(
        "what the host sees of visitors: their own address, or the gateway's, which hosts answer that know no way to others",
      ),
    from: z.array(z.string()).describe("the only networks it is reached from; empty: everywhere"),
    expiresAt: time.nullable().describe("the latest claim's end; null with a claim without end"),
    sync: z.enum(["synced", "pending", "error"]),
    error: z.string().nullable(),
    revision: seq,
    observedRevision: seq,
    conditions: z.array(condition),
  })
  .meta({ id: "Port" });
export type Port = z.infer<typeof portSchema>;

const count = z.number().int().min(1).max(65535);
const sourceAddressChoice = sourceAddress
  .nullable()
  .describe("what the host sees of visitors; null: the gateway's address if its profile is `split`, else their own");
const from = askedSources.describe("the only networks it is reached from; empty: everywhere");
const seconds = lifetime.nullable().describe("seconds; null: without end");

export const portAdd = z
  .strictObject({
    protocol: transport,
    externalPort: port,
    internalAddress: ipv4,
    internalPort: port.optional().describe("the external port if left out"),
    count: count.default(1),
    label: givenLabel.nullable().default(null),
    enabled: z.boolean().default(true),
    lifetime: seconds.default(null),
    wan: interfaceName.nullable().default(null).describe("null: the preferred one"),
    sourceAddress: sourceAddressChoice.default(null),
    from: from.default([]),
  })
  .meta({ id: "PortAdd" });

export const portEdit = z
  .strictObject({
    externalPort: port.optional(),
    internalAddress: ipv4.optional(),
    internalPort: port.optional(),
    count: count.optional(),
    label: givenLabel.nullable().optional(),
    enabled: z.boolean().optional(),
    sourceAddress: sourceAddressChoice.optional(),
    from: from.optional(),
    lifetime: seconds.optional(),
  })
  .meta({ id: "PortEdit" });

export const portUnblock = z.strictObject({ device: hostAddress, protocol: transport, internalPort: port });
const one = z.strictObject({ id: z.string().max(64) });
const BATCH_MAX = 64;

/** What can be done to a port, as its own routes do it. */
const portChange = z.discriminatedUnion("op", [
  portAdd.extend({ op: z.literal("add") }),
  portEdit.extend({ op: z.literal("edit"), ...one.shape }),
  one.extend({ op: z.literal("remove") }),
  one.extend({ op: z.literal("keep") }),
  one.extend({ op: z.literal("block") }),
  portUnblock.extend({ op: z.literal("unblock") }),
]);
/** As it is asked for, without what has a default. */
export type PortChange = z.input<typeof portChange>;

export const portBatch = z
  .strictObject({ changes: z.array(portChange).min(1).max(BATCH_MAX).describe("made in order, all of them or none") })
  .meta({ id: "PortBatch" });

export const blockSchema = z
  .strictObject({ device: hostAddress, protocol: transport, internalPort: port, since: time })
  .meta({ id: "Block" });
export type Block = z.infer<typeof blockSchema>;
