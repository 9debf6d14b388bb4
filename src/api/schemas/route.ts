import { z } from "zod";
import { givenLabel, ipv4, lifetime, port, wanName } from "../../events/fields.ts";
import { sourceAddress } from "../../events/mapping.ts";
import { portSchema } from "./port.ts";

/** A port of which one TLS name is led somewhere. */
export const routeSchema = portSchema
  .extend({
    connections: z
      .strictObject({ total: z.number().int().nonnegative(), open: z.number().int().nonnegative() })
      .nullable()
      .describe("since HAProxy runs; null: none yet"),
  })
  .meta({ id: "Route" });
export type Route = z.infer<typeof routeSchema>;

const name = z
  .string()
  .min(1)
  .max(255)
  .describe("TLS name, as in nas.example.org, or *.example.org for all that are one label longer");
const seconds = lifetime.nullable().describe("seconds; null: without end");
const source = sourceAddress.nullable().describe("what the host sees of visitors; null: as its profile wants it");

export const routeAdd = z
  .strictObject({
    name,
    externalPort: port.default(443),
    internalAddress: ipv4,
    internalPort: port.optional().describe("the external port if left out"),
    label: givenLabel.nullable().default(null),
    enabled: z.boolean().default(true),
    lifetime: seconds.default(null),
    wan: wanName.nullable().default(null).describe("null: the preferred one"),
    sourceAddress: source.default(null),
  })
  .meta({ id: "RouteAdd" });

export const routeEdit = z
  .strictObject({
    externalPort: port.optional(),
    internalAddress: ipv4.optional(),
    internalPort: port.optional(),
    label: givenLabel.nullable().optional(),
    enabled: z.boolean().optional(),
    sourceAddress: source.optional(),
    lifetime: seconds.optional(),
  })
  .meta({ id: "RouteEdit" });
