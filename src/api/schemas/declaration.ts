import { z } from "zod";
import { declaration } from "../../events/declaration.ts";
import { hostLabel, wireguardKey } from "../../events/fields.ts";

const key = wireguardKey.nullable();

export const declarationApply = z
  .strictObject({
    declaration,
    keys: z
      .record(hostLabel, z.strictObject({ privateKey: key, presharedKey: key }))
      .default({})
      .describe("of devices that bring theirs, by name: kept sealed, and in no event"),
    gatewayKey: key
      .default(null)
      .describe("private key that the gateway goes on with, where its devices come from another gateway"),
    prune: z.boolean().default(false).describe("remove what it made and what is not in it any more"),
  })
  .meta({ id: "DeclarationApply" });
