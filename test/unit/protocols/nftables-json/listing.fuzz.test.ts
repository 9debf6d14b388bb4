import { expect, it } from "vitest";
import { decodeListing, NftablesJsonError } from "../../../../src/protocols/nftables-json/listing.ts";
import { LISTINGS } from "./listing-seeds.ts";

const MUTATIONS = 100_000;

/** xorshift32: the seed that is printed gives the same mutations again. */
function generator(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function mutate(text: string, next: (limit: number) => number): string {
  const at = next(text.length);
  switch (next(6)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(next(256)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + next(8));
    case 2:
      return text.slice(0, at) + text.slice(next(text.length), at + next(16)) + text.slice(at);
    case 3:
      // Another scalar in place of one, so that what decodes is not only what was never touched.
      return text.replace(/\b\d+\b/g, (number) => (next(4) === 0 ? String(next(2 ** 31)) : number));
    case 4:
      return text.replace(/"[a-z0-9_.]+"(?!:)/g, (word) => (next(12) === 0 ? `"${"x".repeat(next(300))}"` : word));
    default:
      return text.replace(/[[{]/g, (bracket) => (next(40) === 0 ? `${bracket}null,` : bracket));
  }
}

it(`throws nothing but its own error on ${MUTATIONS} mutations of listings`, { timeout: 120_000 }, () => {
  const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
  const next = generator(seed);
  let decoded = 0;
  for (let round = 0; round < MUTATIONS; round += 1) {
    const text = mutate(LISTINGS[next(LISTINGS.length)] as string, next);
    try {
      decodeListing(text);
      decoded += 1;
    } catch (error) {
      if (!(error instanceof NftablesJsonError))
        throw new Error(`seed ${seed}, round ${round}: ${text}`, { cause: error });
    }
  }
  console.log(`seed ${seed}: ${decoded} of ${MUTATIONS} decode`);
  expect(decoded).toBeGreaterThan(MUTATIONS * 0.05);
  expect(decoded).toBeLessThan(MUTATIONS);
});
