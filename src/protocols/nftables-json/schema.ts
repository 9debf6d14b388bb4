import { z } from "zod";

/**
 * The part of libnftables-json(5) that we read: what `list ruleset` prints. Objects stay loose, so that a field we do
 * not know is kept for comparing; kinds we do not know (flowtables, counters, helpers) are kept by name.
 */

const scalar = z.union([z.string(), z.number()]);
/** One part of a key: not nested further, so that no input can make the parser recurse. */
const part = z.union([
  scalar,
  z.strictObject({ range: z.tuple([scalar, scalar]) }),
  z.strictObject({ prefix: z.strictObject({ addr: z.string(), len: z.number().int().min(0).max(128) }) }),
  z.strictObject({ goto: z.strictObject({ target: z.string() }) }),
]);
/** A value in a set: a part, or several of them concatenated. */
export const value = z.union([part, z.strictObject({ concat: z.array(part).min(2).max(8) })]);
export type Value = z.infer<typeof value>;
export type ValuePart = z.infer<typeof part>;

/** One word or a list of them, as libnftables prints both. */
const words = z.union([z.string(), z.array(z.string())]);
const name = z.string().min(1).max(256);

export const table = z.looseObject({ family: name, name });
export const chain = z.looseObject({
  family: name,
  table: name,
  name,
  type: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().int().optional(),
  policy: z.string().optional(),
});
export const rule = z.looseObject({ family: name, table: name, chain: name, expr: z.array(z.unknown()).max(4096) });

const keyed = z.looseObject({
  elem: z.looseObject({ val: value, comment: z.string().optional(), timeout: z.number().optional() }),
});
/** A member of a set; a map pairs such a key with its data. */
const member = z.union([value, keyed]);

export const set = z.looseObject({
  family: name,
  table: name,
  name,
  type: words,
  flags: words.optional(),
  elem: z.array(member).optional(),
});
export const map = z.looseObject({
  family: name,
  table: name,
  name,
  type: words,
  map: words,
  flags: words.optional(),
  elem: z.array(z.tuple([member, z.unknown()])).optional(),
});

export const listing = z.strictObject({ nftables: z.array(z.record(z.string(), z.unknown())) });

export type TableObject = z.infer<typeof table>;
export type ChainObject = z.infer<typeof chain>;
export type RuleObject = z.infer<typeof rule>;
export type SetObject = z.infer<typeof set>;
export type MapObject = z.infer<typeof map>;
