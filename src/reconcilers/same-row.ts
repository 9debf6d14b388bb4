import { isDeepStrictEqual } from "node:util";
import type { Desired } from "./contract.ts";

/**
 * Whether the same is wanted. The revision alone does not tell: it is the latest of all that a row is made of, so a key
 * that passes from one mapping to another, both older than the WAN's address, keeps it.
 */
export function sameDesired(one: Desired<unknown> | undefined, other: Desired<unknown> | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.revision === other.revision && (one.spec === other.spec || isDeepStrictEqual(one.spec, other.spec));
}

/** Whether two flat rows have the same fields; a field may be a list of strings. All fields of our rows are managed. */
export function sameRow(spec: object, observed: object): boolean {
  const [left, right] = [spec as Record<string, unknown>, observed as Record<string, unknown>];
  for (const field in left) if (!sameValue(left[field], right[field])) return false;
  for (const field in right) if (!(field in left)) return false;
  return true;
}

function sameValue(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
  return left.every((each, index) => each === right[index]);
}
