import type { z } from "zod";
import * as schema from "./schema.ts";
import type { ChainObject, MapObject, RuleObject, SetObject, TableObject, Value } from "./schema.ts";

/** The only error this codec throws: the text is not a listing as libnftables prints it. */
export class NftablesJsonError extends Error {
  override readonly name = "NftablesJsonError";
}

export type ListedObject =
  | { readonly kind: "table"; readonly object: TableObject }
  | { readonly kind: "chain"; readonly object: ChainObject }
  | { readonly kind: "rule"; readonly object: RuleObject }
  | { readonly kind: "set"; readonly object: SetObject }
  | { readonly kind: "map"; readonly object: MapObject }
  /** A kind we do not use; it belongs to a table all the same. */
  | { readonly kind: "other"; readonly object: Record<string, unknown> };

const SCHEMAS = {
  table: schema.table,
  chain: schema.chain,
  rule: schema.rule,
  set: schema.set,
  map: schema.map,
} as const;

/** Objects of tables that `wanted` names, in the kernel's order. What other programs' tables hold is not looked at. */
export function decodeListing(text: string, wanted: (table: string) => boolean = () => true): ListedObject[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new NftablesJsonError("not JSON", { cause });
  }
  const objects: ListedObject[] = [];
  for (const entry of parse(schema.listing, json, "listing").nftables) {
    for (const [kind, object] of Object.entries(entry)) {
      if (kind === "metainfo" || !wanted(tableOf(kind, object))) continue;
      objects.push(decodeObject(kind, object));
    }
  }
  return objects;
}

function tableOf(kind: string, object: unknown): string {
  const named = (object ?? {}) as Record<string, unknown>;
  return String(kind === "table" ? named["name"] : named["table"]);
}

function decodeObject(kind: string, object: unknown): ListedObject {
  if (Object.hasOwn(SCHEMAS, kind)) {
    const known = kind as keyof typeof SCHEMAS;
    return { kind: known, object: parse<unknown>(SCHEMAS[known], object, kind) } as ListedObject;
  }
  if (typeof object !== "object" || object === null) throw new NftablesJsonError(`${kind}: not an object`);
  return { kind: "other", object: object as Record<string, unknown> };
}

function parse<T>(shape: z.ZodType<T>, input: unknown, what: string): T {
  const parsed = shape.safeParse(input);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new NftablesJsonError(`${what}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "is wrong"}`);
  }
  return parsed.data;
}

/** A set's members without what surrounds them (comment, timeout). */
export function memberValues(object: SetObject): { value: Value; comment: string | null }[] {
  return (object.elem ?? []).map((member) =>
    typeof member === "object" && "elem" in member
      ? { value: member.elem.val, comment: member.elem.comment ?? null }
      : { value: member, comment: null },
  );
}
