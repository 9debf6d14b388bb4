import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventLog } from "../../../src/events/log.ts";
import { memoryLog } from "../../../src/events/log-memory.ts";
import { openSnapshots } from "../../../src/events/snapshot-store.ts";
import type { SnapshotStore } from "../../../src/events/snapshot.ts";
import { History, type ReadableLog, refold, salvageState, stateAt } from "../../../src/controller/history.ts";
import { SnapshotKeeper } from "../../../src/controller/snapshot-keeper.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";
import { stateHash } from "../../../src/reducers/state-json.ts";
import { REDUCER_VERSION } from "../../../src/reducers/state.ts";
import { Gateway } from "../reducers/given.ts";

let dir: string;
let gateway: Gateway;
let log: EventLog;
let snapshots: SnapshotStore;
let keeper: SnapshotKeeper;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "portreeve-history-"));
  gateway = new Gateway();
  log = memoryLog();
  snapshots = openSnapshots(dir);
  keeper = new SnapshotKeeper(snapshots, log, () => gateway.state);
  await follow();
});

afterEach(() => rm(dir, { recursive: true }));

/** Brings the log up to what the gateway has recorded. */
async function follow(): Promise<void> {
  const pending = gateway.records.slice(log.head.seq).map(({ at, source, requestId, causedBy, event }) => {
    return { at, source, requestId, causedBy, event };
  });
  await log.append({ expectedHead: log.head.seq, records: pending, answers: [] });
}

async function grow(count: number): Promise<void> {
  const first = 3000 + gateway.state.mappings.size;
  for (let port = first; port < first + count; port += 1) gateway.map({ internalPort: port });
  await follow();
}

/** How many records a fold had to read. */
function countingLog(): { log: ReadableLog; read: () => number } {
  let count = 0;
  const read: EventLog["read"] = async function* (after, options) {
    for await (const record of log.read(after, options)) {
      count += 1;
      yield record;
    }
  };
  return { log: { base: log.base, head: log.head, read, readableAfter: () => log.readableAfter() }, read: () => count };
}

describe("stateAt", () => {
  it("[E2] boots from the newest fitting snapshot and reads only the tail after it", async () => {
    await grow(50);
    await keeper.create();
    await grow(5);
    const { log: counted, read } = countingLog();
    const state = await stateAt(counted, snapshots, log.head.seq);
    expect(stateHash(state)).toBe(stateHash(gateway.state));
    // The tail, and one record to see that the snapshot is of this log.
    expect(read()).toBe(6);
  });

  it("[E3] gives the state at any earlier record, past newer snapshots", async () => {
    await grow(3);
    const earlier = { seq: log.head.seq, hash: stateHash(gateway.state) };
    await grow(3);
    await keeper.create();
    expect(stateHash(await stateAt(log, snapshots, earlier.seq))).toBe(earlier.hash);
  });

  it("[E2] passes over a snapshot of another log, of another fold, and a damaged one", async () => {
    await grow(3);
    const { seq, at, chainHash } = await keeper.create();
    const lie = { seq, at, chainHash, reducerVersion: REDUCER_VERSION };
    for (const change of [{ chainHash: "f".repeat(64) }, { reducerVersion: REDUCER_VERSION + 1 }]) {
      await snapshots.write({ ...lie, ...change }, ['{"seq":', `${seq}}`]);
      expect(stateHash(await stateAt(log, snapshots, seq))).toBe(stateHash(gateway.state));
    }
    await writeFile(join(dir, "snapshots", `${seq.toString(16).padStart(14, "0")}.json`), "{}");
    expect(stateHash(await stateAt(log, snapshots, seq))).toBe(stateHash(gateway.state));
  });
});

describe("salvageState", () => {
  it("folds up to the fault and names it", async () => {
    await grow(4);
    const fault = new PortreeveError("LOG_CORRUPT", "record 6 is damaged", "fatal");
    const read: EventLog["read"] = async function* (after) {
      yield* log.read(after, { to: 5 });
      throw fault;
    };
    const salvaged = await salvageState({ ...countingLog().log, read }, snapshots);
    expect(salvaged.fault).toBe(fault);
    expect(salvaged.state.seq).toBe(5);
  });

  it("[F15] names the record that does not fit, and goes back to before it", async () => {
    await grow(2);
    const before = log.head.seq;
    const event = { type: "lease.expired", v: 1, data: { mappingId: "m000000000000", claimKey: "natpmp" } } as const;
    const record = { at: 1_800_000_000_000, source: "system", requestId: "r1", causedBy: null, event } as const;
    await log.append({ expectedHead: before, records: [record], answers: [] });
    const { fault, state } = await salvageState(log, snapshots);
    expect(fault).toMatchObject({ code: "LOG_CORRUPT", seq: before + 1, remedy: "restore" });
    expect(fault?.message).toContain("no mapping m000000000000");
    expect(state.seq).toBe(before);
    await expect(stateAt(log, snapshots, log.head.seq)).rejects.toMatchObject({ seq: before + 1 });
    expect(stateHash(await stateAt(log, snapshots, before))).toBe(stateHash(gateway.state));
  });
});

describe("SnapshotKeeper", () => {
  it("keeps the last two", async () => {
    const made: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      await grow(1);
      made.push((await keeper.create()).seq);
    }
    expect((await keeper.list()).map(({ seq }) => seq)).toEqual(made.slice(-2).reverse());
  });

  it("verifies a snapshot against the fold of the log, and tells a false one", async () => {
    await grow(2);
    const { seq, at, chainHash } = await keeper.create();
    expect(await keeper.verify(seq)).toMatchObject({ ok: true, hash: stateHash(gateway.state) });
    const state = JSON.parse(JSON.stringify((await snapshots.read(seq))?.state)) as { listeners: unknown[] };
    state.listeners.push({ protocol: "tcp", port: 1 });
    await snapshots.write({ seq, at, chainHash, reducerVersion: REDUCER_VERSION }, [JSON.stringify(state)]);
    expect(await keeper.verify(seq)).toMatchObject({ ok: false });
    expect(await keeper.verify(seq + 1)).toMatchObject({ ok: false, hash: null });
  });
});

describe("SnapshotKeeper", () => {
  it("[F11] writes and removes nothing once the data directory may be another process's", async () => {
    await grow(20);
    await keeper.create();
    await grow(20);
    await keeper.create();
    const before = await keeper.list();
    await grow(20);
    log.checkLock = () => {
      throw new PortreeveError("LOG_LOCKED", "LOCK was replaced", "fatal");
    };
    await expect(keeper.create()).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await expect(keeper.compact({ events: 1, days: 1 }, gateway.now)).rejects.toMatchObject({ code: "LOG_LOCKED" });
    expect(await keeper.list()).toEqual(before);
    expect(log.base.seq).toBe(0);
  });
});

describe("SnapshotKeeper.compact", () => {
  const FOREVER = 1_000_000;
  const DAY_MS = 86_400_000;

  it("[E7] lets records go only once two snapshots cover them, and keeps the state the log begins after", async () => {
    await grow(40);
    const { seq: older } = await keeper.create();
    const retain = { events: 10, days: FOREVER };
    expect(await keeper.compact(retain, gateway.now), "one snapshot").toBe(0);
    await grow(40);
    const { seq: newer } = await keeper.create();
    expect(await keeper.compact(retain, gateway.now)).toBe(older);
    expect(log.base.seq).toBe(older);
    await grow(1);
    await keeper.create();
    await keeper.compact(retain, gateway.now);
    expect(log.base.seq, "as many as may stay, do").toBe(log.head.seq - 10);
    expect((await keeper.list()).map(({ seq }) => seq)).toEqual([log.head.seq, newer, log.base.seq]);
    expect(stateHash(await stateAt(log, snapshots, log.head.seq))).toBe(stateHash(gateway.state));
  });

  it("[E7] lets records go that are older than may be, whatever their number", async () => {
    await grow(20);
    const young = log.head.seq;
    gateway.now += 9 * DAY_MS;
    await grow(5);
    await keeper.create();
    await grow(1);
    await keeper.create();
    const retain = { events: 100, days: 7 };
    expect(await keeper.compact(retain, gateway.now - 5 * DAY_MS)).toBe(0);
    expect(await keeper.compact(retain, gateway.now)).toBe(young);
    expect(await keeper.compact(retain, gateway.now), "nothing more").toBe(0);
  });

  it("[E7] boots, replays and shows the past without the archive, as far back as it can, and says so before", async () => {
    await grow(30);
    await keeper.create();
    await grow(30);
    await keeper.create();
    await keeper.compact({ events: 20, days: FOREVER }, gateway.now);
    const { base } = log;
    const gone: ReadableLog = {
      base,
      head: log.head,
      readableAfter: () => Promise.resolve(base.seq),
      read: (after, options) => {
        if (after < base.seq) throw new PortreeveError("NOT_FOUND", "it is no longer there", "refused");
        return log.read(after, options);
      },
    };
    const hash = stateHash(gateway.state);
    expect(stateHash(await stateAt(gone, snapshots, log.head.seq))).toBe(hash);
    expect(stateHash(await refold(gone, snapshots, log.head.seq))).toBe(hash);
    expect((await refold(gone, snapshots, base.seq)).seq).toBe(base.seq);
    await expect(stateAt(gone, snapshots, base.seq - 1)).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining(`From ${base.seq} on it can`) as string,
    });
    const history = new History(gone, snapshots);
    expect(await history.verify()).toMatchObject({ ok: true, after: base.seq, records: log.head.seq });
    await snapshots.remove(base.seq);
    await expect(refold(gone, snapshots, log.head.seq)).rejects.toMatchObject({ code: "LOG_CORRUPT" });
    expect(stateHash(await stateAt(gone, snapshots, log.head.seq)), "a newer snapshot still does").toBe(hash);
  });
});

describe("History", () => {
  it("[E3] finds records, and says whether the whole chain holds", async () => {
    await grow(3);
    const history = new History(log, snapshots);
    expect((await history.record(2))?.event.type).toBe("interface.observed");
    expect(await history.record(0)).toBeUndefined();
    expect(await history.record(log.head.seq + 1)).toBeUndefined();
    expect(await history.verify()).toMatchObject({ ok: true, records: log.head.seq, faults: [] });
  });
});
