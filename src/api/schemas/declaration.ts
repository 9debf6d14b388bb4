import { z } from "zod";
import { declaration } from "../../events/declaration.ts";

export const declarationApply = z
  .strictObject({
    declaration,
    prune: z.boolean().default(false).describe("remove what it made and what is not in it any more"),
  })
  .meta({ id: "DeclarationApply" });
