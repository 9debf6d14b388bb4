import { describe, expect, it } from "vitest";
import { BackgroundVerification, type VerificationOptions } from "../../../src/daemon/log-verification.ts";
import { corrupt, type LogFault } from "../../../src/events/log-fault.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";

const HEAD = { seq: 1000, hash: "f".repeat(64) };

function begin(
  check: VerificationOptions["check"],
  againMs?: number,
): { verification: BackgroundVerification; faults: LogFault[] } {
  const faults: LogFault[] = [];
  const onFault = (fault: LogFault): void => void faults.push(fault);
  const verification = new BackgroundVerification({
    log: { head: HEAD },
    check,
    onFault,
    ...(againMs === undefined ? {} : { againMs }),
  });
  expect(verification.status).toMatchObject({ state: "running", through: 0 });
  verification.start();
  return { verification, faults };
}

const over = (verification: BackgroundVerification): Promise<void> =>
  expect.poll(() => verification.status.state).not.toBe("running");

describe("BackgroundVerification", () => {
  it("says how far it is, and when every record that was there at the start has been checked", async () => {
    let finish = (): void => {};
    const { verification, faults } = begin((onProgress) => {
      onProgress(400);
      return new Promise((resolve) => {
        finish = resolve;
      });
    });
    expect(verification.status).toEqual({
      state: "running",
      through: 400,
      message: "checked up to record 400 of 1000",
    });
    finish();
    await over(verification);
    expect(verification.status).toMatchObject({ state: "ok", through: 1000 });
    expect(faults).toEqual([]);
  });

  it("[F5] names the record that is damaged, and tells who makes no more promises", async () => {
    const { verification, faults } = begin(async (onProgress) => {
      onProgress(6);
      throw corrupt(7, "record 7 is missing");
    });
    await over(verification);
    expect(verification.status).toEqual({ state: "damaged", through: 6, message: "record 7 is missing" });
    expect(faults).toMatchObject([{ code: "LOG_CORRUPT", seq: 7 }]);
  });

  it("takes a log that could not be read for a moment for no damage", async () => {
    const passing = new PortreeveError("UNAVAILABLE", "the check of the log broke off", "transient");
    const { verification, faults } = begin(() => Promise.reject(passing));
    await over(verification);
    expect(verification.status).toMatchObject({ state: "failed", message: "the check of the log broke off" });
    expect(faults).toEqual([]);
  });

  it("is made again after it could not be made", async () => {
    const passing = new PortreeveError("UNAVAILABLE", "the check of the log broke off", "transient");
    const results = [() => Promise.reject(passing), () => Promise.resolve()];
    const { verification, faults } = begin(() => (results.shift() ?? expect.unreachable)(), 1);
    await expect.poll(() => verification.status).toMatchObject({ state: "ok", through: 1000 });
    await verification.close();
    expect([results, faults]).toEqual([[], []]);
  });

  it("is over when it is closed, however much is left, and says nothing of how it ended", async () => {
    const { verification, faults } = begin(
      (_onProgress, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(corrupt(1, "a thread that was stopped")));
        }),
    );
    await verification.close();
    expect(verification.status.state).toBe("running");
    expect(faults).toEqual([]);
  });
});
