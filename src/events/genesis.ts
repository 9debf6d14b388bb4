import { randomBytes } from "node:crypto";
import { z } from "zod";
import { checkedValue, readChecked } from "./checked-value.ts";
import { GENESIS_KEY } from "./keys.ts";
import { corrupt, LogFault } from "./log-fault.ts";
import type { Storage } from "./storage.ts";

/** Layout of keys and values in the store. */
const FORMAT = 1;

const genesis = z.object({
  format: z.number().int().positive(),
  createdAt: z.iso.datetime({ precision: 3 }),
  instanceId: z.string().regex(/^[0-9a-f]{16}$/),
});
export type Genesis = z.infer<typeof genesis>;

/** Undefined if the store has none: it is new, or its first value is lost. */
export async function readGenesis(storage: Storage): Promise<Genesis | undefined> {
  const value = await storage.get(GENESIS_KEY);
  if (value === undefined) return undefined;
  const parsed = genesis.safeParse(JSON.parse(readChecked(GENESIS_KEY, value)));
  if (!parsed.success) throw corrupt(0, "the log's own description is not well formed", parsed.error);
  const { format } = parsed.data;
  if (format > FORMAT) {
    const message = `the log is in format ${format}, of a newer Portreeve; this version knows formats up to ${FORMAT}`;
    throw new LogFault("LOG_NEWER_VERSION", 0, message);
  }
  return parsed.data;
}

export async function writeGenesis(storage: Storage): Promise<Genesis> {
  const instanceId = randomBytes(8).toString("hex");
  const made: Genesis = { format: FORMAT, createdAt: new Date().toISOString(), instanceId };
  await storage.write([{ type: "put", key: GENESIS_KEY, value: checkedValue(GENESIS_KEY, JSON.stringify(made)) }]);
  return made;
}
