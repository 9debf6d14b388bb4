import { distance } from "fastest-levenshtein";

/** The word someone most likely meant, or null if none is near. Two edits are near (a swap of letters is two), in a long word a third of it. */
export function nearestWord(word: string, words: readonly string[]): string | null {
  let best: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of words) {
    const edits = distance(word.toLowerCase(), candidate.toLowerCase());
    const length = Math.max(word.length, candidate.length);
    const most = length < 4 ? 1 : Math.max(2, Math.floor(length / 3));
    if (edits > most || edits >= fewest) continue;
    best = candidate;
    fewest = edits;
  }
  return best;
}
