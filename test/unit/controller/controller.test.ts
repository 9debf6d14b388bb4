import { beforeEach, describe, expect, it, vi } from "vitest";
import { tableRows } from "../../../src/lib/table.ts";
import { Controller } from "../../../src/controller/controller.ts";
import type { SubmissionInput } from "../../../src/controller/port.ts";
import type { EventLog, LogBatch } from "../../../src/events/log.ts";
import type { PortreeveRecord } from "../../../src/events/index.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";
import { ManualClock } from "../../../src/lib/manual-clock.ts";
import { stateHash } from "../../../src/reducers/state-json.ts";
import { replay } from "../../../src/reducers/fold.ts";
import type { Settler } from "../../../src/controller/settled-submission.ts";
import { Gateway, mapRequest, portAdd, T0, unmapRequest } from "../reducers/given.ts";

/** A log that can be held up and made to fail, and shows its batches. */
class ScriptedLog implements Pick<EventLog, "append" | "head" | "read"> {
  readonly instanceId = "0123456789abcdef";
  readonly batches: LogBatch[] = [];
  readonly records: PortreeveRecord[];
  failures = 0;
  locked = false;
  gate: Promise<void> = Promise.resolve();

  constructor(records: readonly PortreeveRecord[]) {
    this.records = [...records];
  }

  get head() {
    return { seq: this.records.length, hash: "0".repeat(64) };
  }

  async append(batch: LogBatch): Promise<readonly PortreeveRecord[]> {
    await this.gate;
    if (this.locked) throw new PortreeveError("LOG_LOCKED", "LOCK was replaced", "fatal");
    if (this.failures > 0) {
      this.failures -= 1;
      throw new PortreeveError("LOG_WRITE_FAILED", "disk full", "transient");
    }
    expect(batch.expectedHead).toBe(this.records.length);
    const base = this.records.length;
    const hashes = { prevHash: "0".repeat(64), hash: "0".repeat(64) };
    const written = batch.records.map(
      (record, index): PortreeveRecord => ({ ...record, seq: base + 1 + index, ...hashes }),
    );
    this.batches.push(batch);
    this.records.push(...written);
    return written;
  }

  async *read(): AsyncIterable<PortreeveRecord> {
    yield* this.records;
  }

  answerOf(): Promise<unknown> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const by = (command: Parameters<Gateway["do"]>[0], source = "pcp:192.168.77.2"): SubmissionInput => ({
  ...command,
  source,
  requestId: `r-${Math.random()}`,
});

let log: ScriptedLog;
let controller: Controller;
let clock: ManualClock;

beforeEach(() => {
  const gateway = new Gateway();
  clock = new ManualClock(T0);
  log = new ScriptedLog(gateway.records);
  controller = new Controller({ log, clock, entropy: () => 5, state: gateway.state });
  controller.enter("running");
});

describe("Controller", () => {
  it("[E1] commits what arrives together in one batch, in order, and publishes once", async () => {
    const published: number[] = [];
    controller.subscribe((_state, records) => published.push(records.length));
    const outcomes = await Promise.all(
      [2001, 2002, 2003].map((port) => controller.submit(by(mapRequest({ internalPort: port })))),
    );
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, true, true]);
    expect(log.batches.map((batch) => batch.records.length)).toEqual([3]);
    expect(published).toEqual([3]);
  });

  it("[E1] shows nobody a state that is not durable", async () => {
    let open = (): void => {};
    log.gate = new Promise((resolve) => {
      open = resolve;
    });
    const before = controller.state;
    const outcome = controller.submit(by(mapRequest()));
    await new Promise((resolve) => setImmediate(resolve));
    expect(controller.state).toBe(before);
    open();
    await outcome;
    expect(controller.state.mappings.size).toBe(1);
  });

  it("[E1] a failed append drops the candidate, refuses what asked for events, and lets renewals through", async () => {
    await controller.submit(by(mapRequest({ internalPort: 2001 })));
    log.failures = 1;
    const [fresh, renewal] = await Promise.all([
      controller.submit(by(mapRequest({ internalPort: 2002 }))),
      controller.submit(by(mapRequest({ internalPort: 2001 }))),
    ]);
    expect(fresh).toMatchObject({ ok: false, refusal: { code: "LOG_WRITE_FAILED" } });
    expect(renewal).toMatchObject({ ok: true, changed: false });
    expect(controller.state.mappings.size).toBe(1);
    expect(await controller.submit(by(mapRequest({ internalPort: 2002 })))).toMatchObject({ ok: true });
  });

  it("[F11] is in safe mode by the time it tells of a log that can never be written again", async () => {
    const heard: string[] = [];
    const { state } = controller;
    const fenced = new Controller({ log, clock, entropy: () => 5, state, onFault: () => heard.push(fenced.mode) });
    fenced.enter("running");
    log.locked = true;
    expect(await fenced.submit(by(mapRequest()))).toMatchObject({ ok: false });
    expect(heard).toEqual(["safe"]);
  });

  it("[F11] promises nothing to those who waited while the log was lost, renewals neither", async () => {
    await controller.submit(by(mapRequest({ internalPort: 2001 })));
    let open = (): void => {};
    log.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = controller.submit(by(mapRequest({ internalPort: 2002 })));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const renewal = controller.submit(by(mapRequest({ internalPort: 2001 })));
    log.locked = true;
    controller.enter("safe");
    open();
    expect(await first).toMatchObject({ ok: false });
    expect(await renewal).toMatchObject({ ok: false, refusal: { code: "NOT_READY" } });
  });

  it("a renewal decided on a candidate that was never written is decided again on what stands", async () => {
    log.failures = 1;
    const twins = await Promise.all([controller.submit(by(mapRequest())), controller.submit(by(mapRequest()))]);
    expect(twins[0]).toMatchObject({ ok: false, refusal: { code: "LOG_WRITE_FAILED" } });
    expect(twins[1]).toMatchObject({ ok: true, changed: true });
  });

  it("a refusal decided on a candidate that was never written is decided again on what stands", async () => {
    await controller.submit(by(mapRequest()));
    const [mapping] = [...tableRows(controller.state.mappings)];
    log.failures = 1;
    const [block, renewal] = await Promise.all([
      controller.submit(by({ type: "port.block", id: mapping?.id ?? "" }, "api:socket")),
      controller.submit(by(mapRequest())),
    ]);
    expect(block).toMatchObject({ ok: false, refusal: { code: "LOG_WRITE_FAILED" } });
    expect(renewal).toMatchObject({ ok: true, changed: false });
  });

  it("a command that throws is refused alone, and its neighbours in the group are committed", async () => {
    const faults: string[] = [];
    const state = new Gateway().state;
    const onFault = (fault: { command: string }): void => void faults.push(fault.command);
    controller = new Controller({ log, clock, entropy: () => 5, state, onFault });
    controller.enter("running");
    // Stands for a bug: decide lets it pass and the reducer cannot fold it.
    const poison = by({ type: "settings.set", settings: null as never }, "kernel");
    const outcomes = await Promise.all([
      controller.submit(by(mapRequest({ internalPort: 2001 }))),
      controller.submit(poison),
      controller.submit(by(mapRequest({ internalPort: 2002 }))),
    ]);
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, false, true]);
    expect(outcomes[1]).toMatchObject({ refusal: { code: "INTERNAL" } });
    expect(faults).toEqual(["settings.set"]);
    expect(log.records.filter((record) => record.event.type === "settings.changed")).toHaveLength(1);
  });

  it("[I9] an expiry never ends what was renewed before it in the same group", async () => {
    await controller.submit(by(mapRequest({ lifetime: 600 })));
    clock.advance(600_000);
    const [renewal] = await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 600 }))),
      controller.submit(by({ type: "leases.expire" }, "clock")),
    ]);
    expect(renewal).toMatchObject({ ok: true, changed: false });
    expect(controller.state.mappings.size).toBe(1);
  });

  it("[F17] after a suspend, what is due ends before the first request is decided", async () => {
    await controller.submit(by(mapRequest({ device: "192.168.77.2", lifetime: 600 })));
    clock.advance(3_600_000);
    expect(await controller.submit(by(mapRequest({ device: "192.168.77.3" })))).toMatchObject({ ok: true });
    expect(log.records.slice(-2).map(({ event }) => event.type)).toEqual(["lease.expired", "mapping.granted"]);
  });

  it("[F7] [F17] a renewal goes through although the leases that are due cannot be ended", async () => {
    await controller.submit(by(mapRequest({ internalPort: 2001, lifetime: 600 })));
    await controller.submit(by(mapRequest({ internalPort: 2002, lifetime: 7200 })));
    clock.advance(3_600_000);
    log.failures = 1;
    const renewal = await controller.submit(by(mapRequest({ internalPort: 2002, lifetime: 7200 })));
    expect(renewal).toMatchObject({ ok: true, changed: false });
    expect(controller.state.mappings.size).toBe(2);
  });

  it("[I9] a lease that the same group first shortened and then lengthened lasts as long as was said last", async () => {
    await controller.submit(by(mapRequest({ lifetime: 600 })));
    await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 120 }))),
      controller.submit(by(mapRequest({ lifetime: 7200 }))),
    ]);
    expect(controller.leases.next()).toBe(T0 + 7_200_000);
    await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 9000 }))),
      controller.submit(by(mapRequest({ lifetime: 120 }))),
    ]);
    expect(controller.leases.next()).toBe(T0 + 120_000);
  });

  it("[I9] an expiry never ends what was made longer by an event before it", async () => {
    await controller.submit(by(mapRequest({ lifetime: 600 })));
    clock.advance(600_000);
    await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 1200 }), "controller")),
      controller.submit(by({ type: "leases.expire" }, "clock")),
    ]);
    expect(controller.state.mappings.size).toBe(1);
  });

  it.each(["leases.checkpoint", "controller.stop"] as const)(
    "[I9] %s never writes a deadline from before the event that made it later",
    async (type) => {
      await controller.submit(by(mapRequest({ lifetime: 600 })));
      clock.advance(300_000);
      await Promise.all([
        controller.submit(by(mapRequest({ lifetime: 600 }))),
        controller.submit(by(mapRequest({ lifetime: 7200 }))),
        controller.submit(by({ type }, "controller")),
      ]);
      const [claim] = [...tableRows(controller.state.mappings)][0]?.claims ?? [];
      expect(claim?.expiresAt).toBe(T0 + 7_500_000);
      expect(controller.leases.next()).toBe(T0 + 7_500_000);
    },
  );

  it("[I9] what an operator ends is logged with the end that its own group gave it", async () => {
    const hour = mapRequest({ lifetime: 3600 });
    const granted = await controller.submit(by(mapRequest({ lifetime: 600 })));
    const id = granted.ok && granted.answer.kind === "mapped" ? granted.answer.mappingId : "";
    await Promise.all([controller.submit(by(hour)), controller.submit(by({ type: "port.block", id }, "api:socket"))]);
    const types = (from: number) => log.records.slice(from).map(({ event }) => event.type);
    expect(types(4)).toEqual(["lease.changed", "block.set", "lease.released"]);
    const added = await controller.submit(by(portAdd({ lifetime: 600 }), "api:socket"));
    const [other = ""] = added.ok && added.answer.kind === "ids" ? added.answer.ids : [];
    const before = log.records.length;
    await Promise.all([
      controller.submit(by({ type: "port.edit", id: other, lifetime: null }, "api:socket")),
      controller.submit(by({ type: "port.remove", id: other }, "api:socket")),
    ]);
    expect(types(before)).toEqual(["lease.changed", "lease.released"]);
  });

  it("[I9] a renewal that is refused because the log failed shortens nothing", async () => {
    await controller.submit(by(mapRequest({ lifetime: 7200 })));
    log.append = () => Promise.reject(new PortreeveError("LOG_CORRUPT", "not what was written", "fatal"));
    const [shorter] = await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 120 }))),
      controller.submit(by(mapRequest({ internalPort: 2002 }))),
    ]);
    expect(shorter).toMatchObject({ ok: false, refusal: { code: "LOG_WRITE_FAILED" } });
    expect(controller.leases.next()).toBe(T0 + 7_200_000);
  });

  it("[I9] a stop writes the deadline that a renewal in the same group moved", async () => {
    await controller.submit(by(mapRequest({ lifetime: 600 })));
    clock.advance(300_000);
    await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 600 }))),
      controller.submit(by({ type: "controller.stop" }, "controller")),
    ]);
    const [claim] = [...tableRows(controller.state.mappings)][0]?.claims ?? [];
    expect(claim?.expiresAt).toBe(T0 + 900_000);
  });

  it.each(["leases.checkpoint", "controller.stop"] as const)(
    "%s passes over what its own group released",
    async (type) => {
      await controller.submit(by(mapRequest({ internalPort: 2001, lifetime: 600 })));
      await controller.submit(by(mapRequest({ internalPort: 2002, lifetime: 600 })));
      clock.advance(300_000);
      await controller.submit(by(mapRequest({ internalPort: 2001, lifetime: 600 })));
      await controller.submit(by(mapRequest({ internalPort: 2002, lifetime: 600 })));
      const outcomes = await Promise.all([
        controller.submit(by(unmapRequest({ internalPort: 2001 }))),
        controller.submit(by({ type }, "controller")),
      ]);
      expect(outcomes).toMatchObject([{ ok: true }, { ok: true }]);
      const renewed = log.records.find((record) => record.event.type === "leases.renewed");
      expect(renewed?.event.data).toMatchObject({ deadlines: [{ expiresAt: T0 + 900_000 }] });
    },
  );

  it("[I9] confirms a port that the same group gave an end for no longer than until then", async () => {
    const [added, confirmed] = await Promise.all([
      controller.submit(by(portAdd({ externalPort: 8443, internalPort: 8443, lifetime: 90 }), "api:socket")),
      controller.submit(by(mapRequest({ internalPort: 8443, lifetime: 3600 }))),
    ]);
    expect(added).toMatchObject({ ok: true });
    expect(confirmed).toMatchObject({ ok: true, answer: { claimKey: null, lifetime: 90 } });
  });

  it("a nonce that the same group let in holds its port until its lease ends", async () => {
    const other = "f".repeat(24);
    const [, refused] = await Promise.all([
      controller.submit(by(mapRequest({ lifetime: 600 }))),
      controller.submit(by(mapRequest({ lifetime: 600, nonce: other }))),
    ]);
    expect(refused).toMatchObject({ ok: false, refusal: { code: "NONCE_MISMATCH", retryAfter: 600 } });
  });

  it("promises nothing while starting or in safe mode, and appends nothing", async () => {
    for (const mode of ["starting", "safe", "stopped"] as const) {
      controller.enter(mode);
      expect(await controller.submit(by(mapRequest()))).toMatchObject({ ok: false, refusal: { code: "NOT_READY" } });
    }
    expect(log.batches).toEqual([]);
  });

  it("[E4] a preview says what would happen and changes nothing", async () => {
    const before = stateHash(controller.state);
    const { outcome, state, events } = controller.preview(by(portAdd(), "api:socket"));
    expect(outcome).toMatchObject({ ok: true, changed: true });
    expect(events.map((event) => event.type)).toEqual(["mapping.granted"]);
    expect(state.mappings.size).toBe(1);
    expect(stateHash(controller.state)).toBe(before);
    expect(log.batches).toEqual([]);
  });

  it("[E3] the log replays to the very state the controller holds", async () => {
    const ports = Array.from({ length: 40 }, (_, index) => 2000 + index);
    await Promise.all(ports.map((internalPort) => controller.submit(by(mapRequest({ internalPort })))));
    expect(stateHash(await replay(log.records))).toBe(stateHash(controller.state));
  });
});

describe("SettledSubmission", () => {
  const settler = (effect: ReturnType<Settler["effect"]>, settled = () => Promise.resolve()): Settler => ({
    settled,
    effect: () => effect,
  });

  it("answers success only after every reconciler tried the seq", async () => {
    let settle = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      settle = resolve;
    });
    controller.settleWith(settler({ kind: "effective" }, () => waiting));
    let answered = false;
    const outcome = controller.submitSettled(by(mapRequest())).then((result) => {
      answered = true;
      return result;
    });
    await controller.idle();
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    settle();
    expect(await outcome).toMatchObject({ ok: true });
  });

  it("answers no success for a mapping that went while it waited, and waits once for each commit", async () => {
    let settle = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const waits: number[] = [];
    controller.settleWith({
      settled: (seq) => {
        waits.push(seq);
        return waiting;
      },
      effect: () => ({ kind: "effective" }),
    });
    const mapped = [2001, 2002].map((internalPort) => controller.submitSettled(by(mapRequest({ internalPort }))));
    await controller.idle();
    const gone = [...tableRows(controller.state.mappings)].find((mapping) => mapping.internalPort === 2001);
    const removal = controller.submitSettled(by({ type: "port.remove", id: gone?.id ?? "" }, "api:socket"));
    await controller.idle();
    settle();
    expect(await Promise.all(mapped)).toMatchObject([{ ok: false, refusal: { code: "NOT_SETTLED" } }, { ok: true }]);
    expect(await removal).toMatchObject({ ok: true });
    expect(waits).toEqual([log.records.length - 1, log.records.length]);
  });

  it("gives a later commit its full time, and a repeated request none beyond that of its promise", async () => {
    controller.settleWith({
      settled: (_seq, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal))),
      effect: () => ({ kind: "pending" }),
    });
    const answered: string[] = [];
    const ask = (name: string, internalPort: number): void =>
      void controller.submitSettled(by(mapRequest({ internalPort }))).then(({ ok }) => answered.push(`${name} ${ok}`));
    ask("first", 2001);
    await controller.idle();
    clock.advance(3000);
    ask("repeated", 2001);
    await controller.idle();
    ask("later", 2002);
    await controller.idle();
    clock.advance(2000);
    await vi.waitUntil(() => answered.length === 2);
    expect(answered.sort()).toEqual(["first false", "repeated false"]);
    clock.advance(2999);
    await controller.idle();
    expect(answered).toHaveLength(2);
    clock.advance(1);
    await vi.waitUntil(() => answered.length === 3);
    expect(answered.at(-1)).toBe("later false");
    expect(clock.nextAlarmAt).toBeNull();
  });

  it("withdraws by an event what the target refused", async () => {
    controller.settleWith(settler({ kind: "refused", message: "EINVAL from the kernel" }));
    expect(await controller.submitSettled(by(mapRequest()))).toMatchObject({
      ok: false,
      refusal: { code: "APPLY_FAILED" },
    });
    expect(log.records.at(-1)?.event).toMatchObject({ type: "lease.released", data: { reason: "withdrawn" } });
    expect(controller.state.mappings.size).toBe(0);
    expect(controller.state.quarantine.size).toBe(0);
  });

  it("never withdraws what existed before the request", async () => {
    controller.settleWith(settler({ kind: "effective" }));
    await controller.submitSettled(by(mapRequest({ lifetime: 600 })));
    controller.settleWith(settler({ kind: "pending" }, () => Promise.reject(new Error("timeout"))));
    const longer = await controller.submitSettled(by(mapRequest({ lifetime: 7200 })));
    expect(longer).toMatchObject({ ok: false, refusal: { code: "NOT_SETTLED" } });
    expect(controller.state.mappings.size).toBe(1);
  });

  it("never withdraws what a repeated request was told meanwhile", async () => {
    let giveUp = (): void => {};
    const waiting = new Promise<void>((_, reject) => {
      giveUp = () => reject(new Error("timeout"));
    });
    controller.settleWith(settler({ kind: "effective" }, () => waiting));
    const first = controller.submitSettled(by(mapRequest()));
    await controller.idle();
    expect(await controller.submitSettled(by(mapRequest()))).toMatchObject({ ok: true, changed: false });
    giveUp();
    expect(await first).toMatchObject({ ok: false, refusal: { code: "NOT_SETTLED" } });
    expect(controller.state.mappings.size).toBe(1);
  });

  it("never withdraws the claim that a later request made anew in the place of its own", async () => {
    const giveUps: (() => void)[] = [];
    const waiting = () =>
      new Promise<void>((_, reject) => {
        giveUps.push(() => reject(new Error("timeout")));
      });
    controller.settleWith(settler({ kind: "effective" }, waiting));
    await controller.submit(by(mapRequest()));
    const join = () => controller.submitSettled(by(mapRequest({ by: "natpmp" })));
    const first = join();
    await controller.idle();
    await controller.submit(by(unmapRequest({ by: "natpmp" })));
    const second = join();
    await controller.idle();
    expect(await join(), "repeated: there it is, and effective").toMatchObject({ ok: true, changed: false });
    giveUps[0]?.();
    expect(await first).toMatchObject({ ok: false, refusal: { code: "NOT_SETTLED" } });
    giveUps[1]?.();
    expect(await second).toMatchObject({ ok: false, refusal: { code: "NOT_SETTLED" } });
    const [mapping] = [...tableRows(controller.state.mappings)];
    expect(mapping?.claims.map(({ source }) => source)).toEqual(["pcp", "natpmp"]);
  });

  it("a joining claim that is refused leaves the first claim standing", async () => {
    controller.settleWith(settler({ kind: "effective" }));
    await controller.submitSettled(by(mapRequest()));
    controller.settleWith(settler({ kind: "refused", message: "no" }));
    await controller.submitSettled(by(mapRequest({ by: "natpmp" }), "natpmp:192.168.77.2"));
    const [mapping] = [...tableRows(controller.state.mappings)];
    expect(mapping?.claims.map((claim) => claim.source)).toEqual(["pcp"]);
  });

  it("a renewal of what is effective waits for nobody", async () => {
    controller.settleWith(settler({ kind: "effective" }));
    await controller.submitSettled(by(mapRequest()));
    controller.settleWith({ settled: () => new Promise(() => {}), effect: () => ({ kind: "effective" }) });
    expect(await controller.submitSettled(by(mapRequest()))).toMatchObject({ ok: true, changed: false });
  });
});
