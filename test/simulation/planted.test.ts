import { afterEach, describe, expect, it, vi } from "vitest";
import { RIGHTS_FIRST } from "./options.ts";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { PLANTED_RIGHT_BUGS } from "./planted-right-bugs.ts";

const ALL = [...PLANTED_BUGS, ...PLANTED_RIGHT_BUGS];

/** Without a planted bug all of these pass: `seeds-*.test.ts` run them. */
const SEEDS_MAX = 80;

afterEach(() => {
  vi.resetModules();
});

describe("a planted bug is caught by the simulation", () => {
  it.each(ALL)("$area: $bug", async ({ area, module, first = area === "rights" ? RIGHTS_FIRST : 1, plant, shows }) => {
    vi.resetModules();
    vi.doMock(module, async (importOriginal) => {
      const original = await importOriginal<object>();
      return { ...original, ...plant(original as never) };
    });
    const { simulate } = await import("./simulation.ts");
    let caught: string | undefined;
    for (let seed = first; seed < first + SEEDS_MAX && caught === undefined; seed += 1)
      caught = (await simulate(seed)).violations[0];
    vi.doUnmock(module);
    expect(caught ?? `not caught in ${SEEDS_MAX} seeds`).toMatch(shows);
  });

  it("there are at least two in each place that could be wrong", () => {
    const areas = ALL.map(({ area }) => area);
    for (const area of [
      "reducer",
      "selector",
      "diff",
      "retry",
      "prune gate",
      "delete brake",
      "names",
      "sharing",
      "rights",
    ] as const) {
      expect(areas.filter((each) => each === area).length, area).toBeGreaterThanOrEqual(2);
    }
  });
});
