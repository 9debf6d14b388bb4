import { describe, expect, it } from "vitest";
import { BackgroundVerification } from "../../../src/daemon/log-verification.ts";
import type { EventLog } from "../../../src/events/log.ts";
import { type LogFault, corrupt } from "../../../src/events/log-fault.ts";
import { memoryLog } from "../../../src/events/log-memory.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";
import { append } from "../events/samples.ts";

const fine = () => Promise.resolve();

async function verify(
  log: Pick<EventLog, "base" | "head" | "read">,
  scanFiles: () => Promise<void> = fine,
): Promise<{ verification: BackgroundVerification; faults: LogFault[] }> {
  const faults: LogFault[] = [];
  const verification = new BackgroundVerification({ log, scanFiles, onFault: (fault) => faults.push(fault) });
  expect(verification.status).toMatchObject({ state: "running", through: 0 });
  verification.start();
  await expect.poll(() => verification.status.state).not.toBe("running");
  return { verification, faults };
}

describe("BackgroundVerification", () => {
  it("reads every record that was there at the start, from the base on", async () => {
    const log = memoryLog();
    await append(log, 0, 1000);
    await log.compact(300);
    const seen: number[] = [];
    const read: EventLog["read"] = async function* (after, options) {
      for await (const record of log.read(after, options)) {
        seen.push(record.seq);
        if (record.seq === 500) await append(log, 1000, 5);
        yield record;
      }
    };
    const { verification, faults } = await verify({ base: log.base, head: log.head, read });
    expect(verification.status).toMatchObject({ state: "ok", through: 1000 });
    expect([seen[0], seen.at(-1), seen.length]).toEqual([301, 1000, 700]);
    expect(faults).toEqual([]);
  });

  it("[F5] names the record that is damaged, in a table or in the chain, and tells who makes no more promises", async () => {
    const log = memoryLog();
    await append(log, 0, 10);
    const inTable = await verify(log, () => Promise.reject(corrupt(4, "000005.ldb is damaged")));
    expect(inTable.verification.status).toMatchObject({ state: "damaged", message: "000005.ldb is damaged" });
    expect(inTable.faults).toMatchObject([{ code: "LOG_CORRUPT", seq: 4 }]);
    const read: EventLog["read"] = async function* () {
      yield* log.read(0, { to: 6 });
      throw corrupt(7, "record 7 is missing");
    };
    const inChain = await verify({ base: log.base, head: log.head, read });
    expect(inChain.faults).toMatchObject([{ code: "LOG_CORRUPT", seq: 7 }]);
  });

  it("takes a log that could not be read for a moment for no damage", async () => {
    const log = memoryLog();
    await append(log, 0, 3);
    const passing = new PortreeveError("LOG_WRITE_FAILED", "it is being reopened", "transient");
    const { verification, faults } = await verify(log, () => Promise.reject(passing));
    expect(verification.status).toMatchObject({ state: "failed", message: "it is being reopened" });
    expect(faults).toEqual([]);
  });

  it("stops reading when it is closed, however much is left", async () => {
    const log = memoryLog();
    await append(log, 0, 1000);
    let seen = 0;
    const read: EventLog["read"] = async function* (after, options) {
      for await (const record of log.read(after, options)) {
        seen += 1;
        if (record.seq === 400) void verification.close();
        yield record;
      }
    };
    const source = { base: log.base, head: log.head, read };
    const verification = new BackgroundVerification({ log: source, scanFiles: fine, onFault: () => {} });
    verification.start();
    await verification.close();
    expect(seen).toBeLessThan(1000);
    expect(verification.status.state).toBe("running");
  });
});
