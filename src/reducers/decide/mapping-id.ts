import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { assert } from "../../lib/assert.ts";
import { tableGet } from "../../lib/table.ts";
import type { State } from "../state.ts";
import type { CommandEnvelope } from "./command.ts";

/** A new mapping's id, the same for the same command on the same state. */
export function mappingId(state: State, envelope: CommandEnvelope): string {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const seed = `${envelope.source}|${envelope.requestId}|${envelope.now}|${envelope.entropy}|${attempt}`;
    const id = `m${bytesToHex(sha256(utf8ToBytes(seed))).slice(0, 12)}`;
    if (tableGet(state.mappings, id) === undefined) return id;
  }
  return assert(false, "no free mapping id in 100 tries") as never;
}
