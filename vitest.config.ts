import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Each lab makes a handful of namespaces and processes; more at once than this only makes them wait for each other. */
const LAB_WORKERS = 2;

/** Vitest would leave one of them to a person who is waiting. */
const CORES = availableParallelism();

/** What looks at the state of modules, which no other file may have been at: registries of schemas, coverage. */
const APART = ["test/unit/{api,cli,fuzz}/**/*.test.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          exclude: APART,
          testTimeout: 20_000,
          maxWorkers: CORES,
          // Loading every library anew for each file takes longer than most files do.
          isolate: false,
        },
      },
      { test: { name: "apart", include: APART, testTimeout: 20_000, maxWorkers: CORES } },
      { test: { name: "replay", include: ["test/replay/**/*.test.ts"], testTimeout: 60_000 } },
      {
        // Each seed is two hundred requests to the whole program, and `npm test` lets the lab go first.
        test: { name: "simulation", include: ["test/simulation/**/*.test.ts"], testTimeout: 900_000 },
      },
      {
        test: {
          name: "lab",
          include: ["test/lab/**/*.test.ts"],
          globalSetup: ["test/lab/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          pool: "forks",
          maxWorkers: LAB_WORKERS,
        },
      },
    ],
  },
});
