import { expect, it } from "vitest";
import { emptyTally, neverFired, runSeeds, STORED_SEEDS, summary } from "./seeds.ts";

/** With the stored ones. `npm run simulate` runs any number of others. */
const SEEDS = 920;

/** One of `parts` equal parts of the seeds: vitest gives each file a core of its own. */
export function testSeeds(part: number, parts: number): void {
  it(`keeps every promise in ${SEEDS / parts} seeds (part ${part + 1} of ${parts})`, async () => {
    const asked = process.env["PORTREEVE_SIMULATION"];
    const [first = 1, count = SEEDS] = asked === undefined ? [] : asked.split(":").map(Number);
    const seeds = Array.from({ length: count }, (_, index) => first + index);
    if (asked === undefined) seeds.push(...STORED_SEEDS.filter((seed) => seed > count));
    const tally = emptyTally();
    const mine = seeds.filter((_, index) => index % parts === part);
    await runSeeds(mine, tally, (text) => {
      if (asked !== undefined) console.log(text);
    });
    if (asked !== undefined) console.log(summary(tally));
    expect(tally.failures, tally.failures.join("\n\n")).toEqual([]);
    // Few seeds may leave out a kind; many that do leave something untested.
    if (mine.length >= SEEDS / parts) expect(neverFired(tally), "these faults never happened").toEqual([]);
  }, 86_400_000);
}
