import { defineConfig } from "vitest/config";

/** Each lab makes a handful of namespaces and processes; more at once than this only makes them wait for each other. */
const LAB_WORKERS = 2;

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 20_000 } },
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
    passWithNoTests: true,
  },
});
