import { describe, expect, it } from "vitest";
import type { ReconcileError } from "../../../../src/reconcilers/contract.ts";
import { Settlements } from "../../../../src/reconcilers/engine/settle.ts";
import { NEVER } from "./rig.ts";

const error: ReconcileError = { code: "EBUSY", message: "busy", disposition: "transient" };

describe("Settlements", () => {
  it("resolves those whose seq is reached, at once or later, with what fails then", async () => {
    const failing = new Map<string, ReconcileError>();
    const settlements = new Settlements(() => new Map(failing));
    const three = settlements.wait(3, NEVER);
    let four = false;
    void settlements.wait(4, NEVER).then(() => {
      four = true;
    });
    failing.set("a", error);
    settlements.complete(3);
    expect(await three).toEqual({ through: 3, failed: new Map([["a", error]]) });
    failing.clear();
    expect(await settlements.wait(2, NEVER)).toEqual({ through: 3, failed: new Map() });
    expect(four).toBe(false);
    settlements.complete(9);
    await Promise.resolve();
    expect(four).toBe(true);
  });

  it("never goes back", async () => {
    const settlements = new Settlements(() => new Map());
    settlements.complete(5);
    settlements.complete(2);
    expect((await settlements.wait(5, NEVER)).through).toBe(5);
  });

  it("rejects with the signal's reason, before or while waiting", async () => {
    const settlements = new Settlements(() => new Map());
    const reason = new Error("too late");
    await expect(settlements.wait(1, AbortSignal.abort(reason))).rejects.toBe(reason);
    const abort = new AbortController();
    const waiting = settlements.wait(1, abort.signal);
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  it("rejects everyone when it is closed, also those who come after", async () => {
    const settlements = new Settlements(() => new Map());
    const waiting = settlements.wait(1, NEVER);
    settlements.close();
    await expect(waiting).rejects.toMatchObject({ code: "NOT_READY" });
    await expect(settlements.wait(1, NEVER)).rejects.toMatchObject({ code: "NOT_READY" });
  });
});
