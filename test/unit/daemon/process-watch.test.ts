import { expect, it } from "vitest";
import { ProcessWatch } from "../../../src/daemon/process-watch.ts";
import { Readiness } from "../../../src/daemon/readiness.ts";
import { ManualClock } from "../../../src/lib/manual-clock.ts";
import { createMetrics } from "../../../src/lib/metrics.ts";

function watched(openFile: () => void = () => undefined) {
  const readiness = new Readiness(new ManualClock(0), []);
  const metrics = createMetrics();
  const stalls: number[] = [];
  let now = 0;
  const onStall = (seconds: number): void => void stalls.push(seconds);
  const exhausted: string[] = [];
  const onFilesExhausted = (whose: string): void => void exhausted.push(whose);
  const watch = new ProcessWatch({ readiness, metrics, onStall, onFilesExhausted, monotonic: () => now, openFile });
  const pass = (ms: number): void => {
    now += ms;
    watch.check();
  };
  return { readiness, metrics, stalls, exhausted, pass };
}

it("tells of a stall for a while, counts it, and keeps the longest", async () => {
  const { readiness, metrics, stalls, pass } = watched();
  pass(500);
  pass(1400);
  expect(readiness.degraded()).toEqual([]);
  pass(10_500);
  pass(2500);
  expect(stalls).toEqual([10, 2]);
  expect(readiness.degraded()).toEqual(["process: stood still for 2.0 s less than a minute ago; requests waited"]);
  expect(await metrics.text()).toMatch(/portreeve_stalls_total 2\n[^]*portreeve_stall_longest_seconds 10\n/);
  for (let checks = 0; checks < 101; checks += 1) pass(500);
  expect(readiness.degraded()).toEqual([]);
});

it("tells when no file can be opened, and when one can again", () => {
  let code: string | null = "EMFILE";
  const { readiness, exhausted, pass } = watched(() => {
    if (code !== null) throw Object.assign(new Error("no"), { code });
  });
  pass(500);
  expect(readiness.degraded()).toEqual([expect.stringContaining("open files: this process (RLIMIT_NOFILE)")]);
  code = "ENFILE";
  pass(500);
  expect(readiness.degraded()).toEqual([expect.stringContaining("the machine (fs.file-max)")]);
  code = null;
  pass(500);
  expect(readiness.degraded()).toEqual([]);
  expect(exhausted).toEqual(["this process (RLIMIT_NOFILE)"]);
});
