import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { assert } from "../../lib/assert.ts";
import { tableGet } from "../../lib/table.ts";
import type { State } from "../state.ts";
import type { CommandEnvelope } from "./command.ts";

const IS_TAKEN = {
  m: (state: State, id: string): boolean => tableGet(state.mappings, id) !== undefined,
  n: (state: State, id: string): boolean => state.subnets[id] !== undefined,
  d: (state: State, id: string): boolean => tableGet(state.devices, id) !== undefined,
  r: (state: State, id: string): boolean => tableGet(state.recordNames, id) !== undefined,
  c: (state: State, id: string): boolean => state.confirmations[id] !== undefined,
} as const;

/** The id of a new mapping (m), subnet (n), device (d), DNS record (r) or confirmation (c), the same for the same command on the same state. */
export function newId(kind: keyof typeof IS_TAKEN, state: State, envelope: CommandEnvelope): string {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const seed = `${envelope.source}|${envelope.requestId}|${envelope.now}|${envelope.entropy}|${attempt}`;
    const id = `${kind}${bytesToHex(sha256(utf8ToBytes(seed)).subarray(0, 6))}`;
    if (!IS_TAKEN[kind](state, id)) return id;
  }
  return assert(false, `no free id in 100 tries`) as never;
}
