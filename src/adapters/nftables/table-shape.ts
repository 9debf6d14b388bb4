import { createHash } from "node:crypto";
import { PortreeveError } from "../../lib/errors.ts";
import { decodeListing, type ListedObject, memberValues } from "../../protocols/nftables-json/listing.ts";
import { nftErrorCode, nftErrorLine } from "../../protocols/nftables-json/error-code.ts";
import type { Nft } from "./nft-library.ts";
import type { Skeleton } from "./skeleton.ts";

/** A table as it is listed without elements; null if there is none of that name. */
export function listShape(nft: Nft, table: string): ListedObject[] | null {
  // A ruleset's terse listing leaves the elements in the kernel; nft 1.0.6 fetches them all for a table's.
  const objects = decodeListing(listOrThrow(nft, "list ruleset inet", true), (name) => name === table);
  return objects.length === 0 ? null : objects;
}

/** Tables of family inet, by name. */
export function listTables(nft: Nft): string[] {
  return decodeListing(listOrThrow(nft, "list ruleset inet", true))
    .filter(({ kind }) => kind === "table")
    .map(({ object }) => String(object["name"]));
}

/**
 * Equal for equal listings. Rules cannot be read back into the text they were written in, so a shape is compared with
 * the one that the kernel showed right after the skeleton was written.
 */
export function fingerprint(objects: readonly ListedObject[]): string {
  const bare = objects.map(({ kind, object }) => [kind, { ...object, handle: undefined }]);
  return createHash("sha256").update(JSON.stringify(bare)).digest("hex");
}

/** Chains, sets or anything else that this skeleton does not have. */
export function hasForeignObjects(objects: readonly ListedObject[], skeleton: Skeleton): boolean {
  return objects.some(({ kind, object }) => {
    const name = String(object["name"]);
    if (kind === "table") return false;
    if (kind === "chain") return !skeleton.chains.includes(name);
    if (kind === "rule") return !skeleton.chains.includes(String(object["chain"]));
    if (kind === "set" || kind === "map") return !skeleton.sets.includes(name);
    return true;
  });
}

/** The instance that marked this table, or null. */
export function listInstance(nft: Nft, table: string): string | null {
  const result = nft.list(`list set inet ${table} instance`, false);
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

function listOrThrow(nft: Nft, command: string, terse: boolean): string {
  const result = nft.list(command, terse);
  if (!result.ok) throw failure(result.error);
  return result.output;
}

function failure(text: string): PortreeveError {
  const code = nftErrorCode(text);
  const permission = code === "EPERM";
  const message = `nftables could not be listed: ${nftErrorLine(text)}`;
  return new PortreeveError(permission ? "PERMISSION" : "UNAVAILABLE", message, "transient");
}
