import pino from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ControllerPort } from "../../../src/controller/port.ts";
import type { SnapshotKeeper } from "../../../src/controller/snapshot-keeper.ts";
import { LogCare } from "../../../src/daemon/log-care.ts";
import type { EventLog } from "../../../src/events/log.ts";
import { writeFailed } from "../../../src/events/log-fault.ts";
import { memoryLog } from "../../../src/events/log-memory.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";
import { initialState } from "../../../src/reducers/state.ts";
import { temporaryDirectory } from "../events/samples.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function careOf(eventLog: EventLog): { care: LogCare; faults: PortreeveError[] } {
  const faults: PortreeveError[] = [];
  const care = new LogCare({
    config: { dataDir: temporaryDirectory(), log: { level: "info", retain: { events: 1000, days: 365 } } },
    controller: { state: initialState(), subscribe: () => ({ close: () => {} }) } as unknown as ControllerPort,
    keeper: { list: async () => [], compact: async () => 0 } as unknown as SnapshotKeeper,
    eventLog,
    clock: { now: () => 0 },
    log: pino({ level: "silent" }),
    onFault: (fault) => faults.push(fault),
  });
  return { care, faults };
}

it("[F11] looks at the lock by itself at least once a second, and says once that another may have the log", async () => {
  const log = memoryLog();
  let replaced: PortreeveError | null = null;
  log.checkLock = () => {
    if (replaced !== null) throw replaced;
  };
  const { care, faults } = careOf(log);
  await care.start();
  await vi.advanceTimersByTimeAsync(5000);
  expect(faults).toEqual([]);
  replaced = writeFailed("LOCK cannot be looked at");
  await vi.advanceTimersByTimeAsync(5000);
  expect(faults, "that is for the next append to say").toEqual([]);
  replaced = new PortreeveError("LOG_LOCKED", "LOCK was replaced", "fatal");
  await vi.advanceTimersByTimeAsync(1000);
  expect(faults).toMatchObject([{ code: "LOG_LOCKED" }]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(faults).toHaveLength(1);
  await care.close();
  expect(vi.getTimerCount()).toBe(0);
});
