import { randomFillSync } from "node:crypto";

/** Drawn at once: each call of the system's generator costs more than deciding a request. */
const WORDS = 256;

/** Gives 32 random bits a call, each once. */
export function createEntropy(): () => number {
  const words = new Uint32Array(WORDS);
  let next = WORDS;
  return () => {
    if (next === WORDS) {
      randomFillSync(words);
      next = 0;
    }
    next += 1;
    return words[next - 1] as number;
  };
}
