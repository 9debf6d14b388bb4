import { expect } from "vitest";
import { random } from "../../random.mjs";

const EDGES = [0x00, 0x01, 0x7f, 0x80, 0xff];

/** One to four changes: an octet set, a bit turned, a cut, a growth, a piece moved or repeated. */
function mutate(seed: Uint8Array, pick: (below: number) => number): Uint8Array {
  let bytes = [...seed];
  for (let left = 1 + pick(4); left > 0; left -= 1) {
    const at = pick(bytes.length + 1);
    const length = pick(9);
    const kind = pick(16);
    if (kind < 5 && at < bytes.length) bytes[at] = pick(256);
    else if (kind < 8 && at < bytes.length) bytes[at] = EDGES[pick(EDGES.length)] as number;
    else if (kind < 12 && at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << pick(8));
    else if (kind === 12) bytes = bytes.slice(0, at);
    else if (kind === 13) bytes.push(...Array.from({ length: 4 * length }, () => pick(256)));
    else if (kind === 14) bytes.splice(at, length);
    else bytes.splice(at, 0, ...bytes.slice(pick(bytes.length + 1)).slice(0, 4 * length));
  }
  return Uint8Array.from(bytes);
}

/**
 * Decodes `runs` mutations of the seeds. Fails if anything but `own` is thrown, and if the mutations are so wild (under
 * 5 % decode) or so tame (all decode) that nothing was tried.
 */
export function decodeMutations(options: {
  readonly seed: number;
  readonly runs: number;
  readonly seeds: readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly own: abstract new (...input: never[]) => Error;
}): void {
  const { seed, runs, seeds, decode, own } = options;
  console.log(`mutation seed ${seed}`);
  const pick = random(seed);
  let decoded = 0;
  for (let run = 0; run < runs; run += 1) {
    const bytes = mutate(seeds[run % seeds.length] as Uint8Array, pick);
    try {
      decode(bytes);
      decoded += 1;
    } catch (cause) {
      if (!(cause instanceof own))
        throw new Error(`seed ${seed}, run ${run}: ${Buffer.from(bytes).toString("hex")}`, { cause });
    }
  }
  expect(decoded / runs).toBeGreaterThanOrEqual(0.05);
  expect(decoded).toBeLessThan(runs);
}
