import { createHash } from "node:crypto";
import { PortreeveError } from "../../lib/errors.ts";
import { nftErrorCode, nftErrorLine } from "../../protocols/nftables-json/error-code.ts";
import { decodeListing, memberValues } from "../../protocols/nftables-json/listing.ts";
import type { Nft } from "./nft-library.ts";
import type { Skeleton } from "./skeleton.ts";

/** A table as nft lists it without elements; null if there is none of that name. */
export function listShape(nft: Nft, table: string): string | null {
  // The ruleset and not the table: for a table's listing nft 1.0.6 fetches all elements, also to leave them out.
  const result = nft.listTerse("list ruleset inet");
  if (!result.ok) throw failure(result.error);
  const lines = result.output.split("\n");
  // A table with an owner has the owner's name behind the brace.
  const start = lines.findIndex((line) => line.startsWith(`table inet ${table} {`));
  if (start < 0) return null;
  const end = lines.indexOf("}", start);
  return lines.slice(start, end < 0 ? undefined : end).join("\n");
}

/**
 * Equal for equal shapes. Rules are not listed in the words they were written in, so a shape is compared with the one
 * that the kernel showed right after the skeleton was written.
 */
export const fingerprint = (shape: string): string => createHash("sha256").update(shape).digest("hex");

const OBJECT = /^\t(\S.*?) \{$/;

/** Chains, sets or anything else that this skeleton does not have. */
export function hasForeignObjects(shape: string, skeleton: Skeleton): boolean {
  const known = new Set([
    ...skeleton.chains.map((name) => `chain ${name}`),
    ...skeleton.sets.flatMap((name) => [`set ${name}`, `map ${name}`]),
  ]);
  return shape.split("\n").some((line) => {
    const object = OBJECT.exec(line)?.[1];
    return object !== undefined && !known.has(object);
  });
}

/** The instance that marked this table, or null. */
export function listInstance(nft: Nft, table: string): string | null {
  const result = nft.listJson(`list set inet ${table} instance`);
  if (!result.ok) {
    if (nftErrorCode(result.error) === "ENOENT") return null;
    throw failure(result.error);
  }
  for (const { kind, object } of decodeListing(result.output)) {
    if (kind !== "set") continue;
    const [mark] = memberValues(object);
    if (mark?.comment !== null && mark?.comment !== undefined) return mark.comment;
  }
  return null;
}

function failure(text: string): PortreeveError {
  const permission = nftErrorCode(text) === "EPERM";
  const message = `nftables could not be listed: ${nftErrorLine(text)}`;
  return new PortreeveError(permission ? "PERMISSION" : "UNAVAILABLE", message, "transient");
}
