import { assert } from "./assert.ts";

/**
 * One text for one value, on any machine (RFC 8785): members sorted by UTF-16 code units, no white space, numbers as
 * ECMAScript prints them. A member that is `undefined` is left out, so that a value and its JSON round trip agree.
 * What JSON cannot hold is a bug of the caller.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      assert(Number.isFinite(value), "canonical JSON has no NaN and no infinity");
      return JSON.stringify(value);
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
      return objectText(value);
    default:
      assert(false, `canonical JSON has no ${typeof value}`);
  }
}

function objectText(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  assert(prototype === Object.prototype || prototype === null, "canonical JSON holds plain objects only");
  const members: string[] = [];
  // The default sort compares UTF-16 code units, which is what RFC 8785 §3.2.3 wants.
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${members.join(",")}}`;
}
