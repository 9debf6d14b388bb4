import { randomBytes } from "node:crypto";
import { z } from "zod";
import { EMPTY_HEAD, type LogHead } from "../log.ts";
import { corrupt, LogFault } from "../log-fault.ts";
import { checkedValue, readChecked } from "./checked-value.ts";
import { GENESIS_KEY } from "./keys.ts";
import type { ReadableStorage, StorageOp } from "./storage.ts";

/** Layout of keys and values in the store: 1 holds every record there ever was, 2 those after its base. */
const FORMAT = { whole: 1, compacted: 2 } as const;

const genesis = z.object({
  format: z.number().int().positive(),
  createdAt: z.iso.datetime({ precision: 3 }),
  instanceId: z.string().regex(/^[0-9a-f]{16}$/),
  /** The last record that has left the log; the first one in it follows. */
  base: z.object({ seq: z.number().int().positive(), hash: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
});
export type Genesis = z.infer<typeof genesis>;

/** Undefined if the store has none: it is new, or its first value is lost. */
export async function readGenesis(storage: ReadableStorage): Promise<Genesis | undefined> {
  const value = await storage.get(GENESIS_KEY);
  return value === undefined ? undefined : parseGenesis(value);
}

export function parseGenesis(value: string): Genesis {
  const parsed = genesis.safeParse(JSON.parse(readChecked(GENESIS_KEY, value)));
  if (!parsed.success) throw corrupt(0, "the log's own description is not well formed", parsed.error);
  const { format } = parsed.data;
  if (format > FORMAT.compacted) {
    const message = `the log is in format ${format}, of a newer Portreeve; this version knows formats up to ${FORMAT.compacted}`;
    throw new LogFault("LOG_NEWER_VERSION", 0, message);
  }
  return parsed.data;
}

export function newGenesis(instanceId = randomBytes(8).toString("hex")): Genesis {
  return { format: FORMAT.whole, createdAt: new Date().toISOString(), instanceId };
}

/** The description of the same log once it begins after `base`; a version that knows no bases refuses it. */
export const withBase = (genesis: Genesis, { seq, hash }: LogHead): Genesis =>
  seq === 0 ? genesis : { ...genesis, format: FORMAT.compacted, base: { seq, hash } };

/** What the first record in the store follows. */
export const baseOf = ({ base }: Genesis): LogHead => base ?? EMPTY_HEAD;

export function genesisOp(genesis: Genesis): StorageOp {
  return { type: "put", key: GENESIS_KEY, value: checkedValue(GENESIS_KEY, JSON.stringify(genesis)) };
}
