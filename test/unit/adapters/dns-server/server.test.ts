import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type {
  DnsListener,
  FromWorker,
  ServedRow,
  ToWorker,
  UpdateRequest,
} from "../../../../src/adapters/dns-server/messages.ts";
import { createDnsServer, type DnsServer } from "../../../../src/adapters/dns-server/server.ts";
import type { DnsThread } from "../../../../src/adapters/dns-server/worker-link.ts";
import { Secret } from "../../../../src/events/secret.ts";
import type { DnsRow } from "../../../../src/lib/dns-row.ts";
import { dnsRowKey } from "../../../../src/lib/dns-row.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import { createMetrics } from "../../../../src/lib/metrics.ts";
import { RequestLog } from "../../../../src/lib/request-log.ts";
import type { Plan } from "../../../../src/reconcilers/contract.ts";

const PSK = Buffer.alloc(32, 1);
const VIEW: DnsRow = {
  kind: "view",
  id: "home",
  interface: "wg0",
  prefixes: ["10.59.0.0/24"],
  zone: "home.internal",
  upstreams: { mode: "system" },
  unsignedUpdates: false,
};
const SERIAL: DnsRow = { kind: "serial", serial: 7 };
const NAME: DnsRow = {
  kind: "name",
  name: "nas.home.internal",
  views: null,
  records: [{ type: "A", ttl: 60, value: "10.59.0.2" }],
};
const KEY: DnsRow = {
  kind: "key",
  device: "d1",
  view: "home",
  sources: ["10.59.0.2"],
  keyName: "nas.home.internal",
  secretId: "s1",
  derived: true,
};
const LISTENER: DnsListener = { view: "home", interface: "wg0", address: "10.59.0.1", port: 53, ifindex: 3 };

const UPDATE: UpdateRequest = {
  device: "d1",
  interface: "wg0",
  source: "10.59.0.2",
  signed: false,
  inPairs: false,
  signature: null,
  timeSigned: 0,
  update: { zone: "home.internal", prerequisites: [], changes: [], lease: null },
};
const GRANTED = { ok: true, changed: true, answer: { kind: "updated", lease: 60 } };

const create = (...rows: DnsRow[]): Plan<DnsRow, DnsRow> =>
  rows.map((spec) => ({
    op: "create",
    key: dnsRowKey(spec),
    desired: { key: dnsRowKey(spec), spec, owners: ["o"], revision: 1 },
  }));
/** What is gathered leaves, and what it leads to. */
const turn = async (): Promise<void> => {
  for (let times = 0; times < 3; times += 1) await new Promise((resolve) => setImmediate(resolve));
};
const never = new AbortController().signal;

/** A thread that does what it is told at once, unless it is to be silent. */
class FakeWorker implements DnsThread {
  readonly messages: (readonly ToWorker[])[] = [];
  silent = false;
  readonly #listeners = new Map<string, ((value: never) => void)[]>();

  postMessage(messages: readonly ToWorker[]): void {
    this.messages.push(messages);
    for (const message of messages) this.#hear(message);
  }

  get heard(): readonly ToWorker[] {
    return this.messages.flat();
  }

  #hear(message: ToWorker): void {
    if (this.silent) return;
    if (message.kind === "rows") this.say({ kind: "applied", id: message.id, refused: [] });
    if (message.kind === "listen") this.say({ kind: "listening", id: message.id, faults: [] });
    if (message.kind === "close") this.end(0);
  }

  on(event: string, listener: (value: never) => void): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  say(message: FromWorker): void {
    queueMicrotask(() => this.#tell("message", message));
  }

  get verdicts(): ToWorker[] {
    return this.heard.filter(({ kind }) => kind === "verdict");
  }

  end(code: number): void {
    queueMicrotask(() => this.#tell("exit", code));
  }

  terminate(): Promise<void> {
    return Promise.resolve();
  }

  get rows(): ServedRow[] {
    return this.heard.flatMap((each) => (each.kind === "rows" ? each.set : []));
  }

  #tell(event: string, value: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(value as never);
  }
}

describe("the DNS server's side in the daemon", () => {
  const workers: FakeWorker[] = [];
  let lost = 0;
  let submitted: Promise<unknown> = Promise.resolve();
  let server: DnsServer;

  function start(changedBefore: number | null): DnsServer {
    return createDnsServer({
      controller: { state: { dnsRevision: 7 }, submit: () => submitted } as never,
      clock: new ManualClock(0),
      secrets: { open: async () => new Secret(PSK.toString("base64")) },
      requests: new RequestLog(),
      metrics: createMetrics(),
      log: { info: () => undefined, warn: () => undefined },
      answerOf: async () => undefined,
      changedBefore,
      startedAt: 0,
      onLost: () => {
        lost += 1;
      },
      upstreams: "system",
      rebindingAllow: [],
      startWorker: () => {
        const worker = new FakeWorker();
        workers.push(worker);
        return worker;
      },
    });
  }

  beforeEach(() => {
    // Messages to the thread leave once a turn of the event loop: with the real one.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    workers.length = 0;
    lost = 0;
    server = start(null);
  });
  afterEach(async () => {
    await server.close();
    vi.useRealTimers();
  });

  it("starts no thread before there is somebody to serve, and then tells it everything", async () => {
    await server.target.apply(create(SERIAL, NAME), never);
    expect(workers).toHaveLength(0);
    expect([...(await server.target.observe()).keys()]).toEqual(["serial", "name|nas.home.internal"]);
    await server.target.apply(create(VIEW), never);
    expect(workers[0]?.rows.map(({ kind }) => kind).sort()).toEqual(["name", "serial", "view"]);
  });

  it("opens no socket before the thread has the names: it would deny them", async () => {
    const serving = server.serve([LISTENER]);
    await vi.advanceTimersByTimeAsync(900);
    await server.target.apply(create(VIEW, NAME), never);
    await serving;
    expect(server.served).toEqual([LISTENER]);
    expect(workers.map(({ heard }) => heard.map(({ kind }) => kind))).toEqual([["rows", "listen"]]);
  });

  it("opens no socket in the second of the last change, or what is signed then is taken for a repetition", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: 60_300 });
    const again = start(60_200);
    await again.target.apply(create(VIEW, NAME), never);
    const serving = again.serve([LISTENER]);
    await vi.advanceTimersByTimeAsync(699);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(again.served).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await serving;
    expect(again.served).toEqual([LISTENER]);
    await again.close();
  });

  it("says so if there are no names for long", async () => {
    const serving = server.serve([LISTENER]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await serving).toMatchObject([{ listener: LISTENER, code: "UNAVAILABLE" }]);
    expect(workers).toEqual([]);
  });

  it("gives the thread keys that are made of the preshared key, never that itself", async () => {
    await server.target.apply(create(VIEW, KEY), never);
    const row = workers[0]?.rows.find((each) => each.kind === "keys");
    expect(row).toMatchObject({ device: "d1", sources: ["10.59.0.2"] });
    expect(row?.kind === "keys" && row.keys.map(({ name }) => name)).toEqual([
      "startos-dns-update",
      "nas.home.internal",
    ]);
    // The vector of an HKDF that is not ours.
    const startos = row?.kind === "keys" ? Buffer.from(row.keys[0]?.secret ?? []).toString("hex") : "";
    expect(startos).toBe("885aa38527fce9f3cd47731b15d00ca84b0b871e8fa1bbbae7980953b78076f1");
    expect(JSON.stringify(workers[0]?.heard)).not.toContain(JSON.stringify([...PSK]));
  });

  it("replaces a thread that died: rows, sockets and what is asked of it come anew", async () => {
    await server.target.apply(create(VIEW, NAME), never);
    await server.serve([LISTENER]);
    expect(server.served).toEqual([LISTENER]);
    expect(server.target.unchanged()).toBe(true);
    const drift: string[] = [];
    server.target.watch((by) => drift.push(by));
    const [first] = workers;
    if (first === undefined) throw new Error("no thread");
    first.silent = true;
    const asked = server.ask("home", "nas.home.internal", "A");
    first.end(1);
    await expect(asked).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect([server.served, lost, drift, server.target.unchanged()]).toEqual([[], 1, [], false]);
    expect((await server.target.observe()).size).toBe(0);
    expect(server.losses).toEqual({ count: 1, reason: "the DNS thread ended with 1" });
    const serving = server.serve([LISTENER]);
    await vi.advanceTimersByTimeAsync(50);
    expect([lost, drift]).toEqual([2, ["the DNS thread"]]);
    await server.target.apply(create(VIEW, NAME), never);
    expect(workers[1]?.rows).toHaveLength(2);
    await serving;
    expect(server.served).toEqual([LISTENER]);
  });

  it("does not tell a new thread what the one before it had asked: their numbers are the same", async () => {
    await server.target.apply(create(VIEW, SERIAL), never);
    await server.serve([LISTENER]);
    let decide = (_outcome: object): void => undefined;
    submitted = new Promise((resolve) => {
      decide = resolve;
    });
    workers[0]?.say({ kind: "updates", updates: [{ id: 1, request: UPDATE }] });
    await turn();
    workers[0]?.end(1);
    await vi.advanceTimersByTimeAsync(50);
    await server.target.apply(create(VIEW, SERIAL), never);
    await server.serve([LISTENER]);
    expect(workers).toHaveLength(2);
    decide(GRANTED);
    await turn();
    expect(workers[1]?.verdicts).toEqual([]);
    workers[1]?.say({ kind: "updates", updates: [{ id: 1, request: UPDATE }] });
    await turn();
    expect(workers[1]?.verdicts).toMatchObject([{ id: 1, verdict: { kind: "answer", rcode: 0 } }]);
  });

  it("lets an update be answered behind its names, and waits for no word of the thread", async () => {
    submitted = Promise.resolve(GRANTED);
    await server.target.apply(create(VIEW, { kind: "serial", serial: 6 }), never);
    const [worker] = workers;
    if (worker === undefined) throw new Error("no thread");
    worker.silent = true;
    worker.say({ kind: "updates", updates: [{ id: 1, request: UPDATE }] });
    await turn();
    expect(worker.verdicts, "its names are of serial 7").toEqual([]);
    const [before, told] = [worker.messages.length, server.target.apply(create(NAME, SERIAL), never)];
    await turn();
    expect(worker.messages.slice(before).map((each) => each.map(({ kind }) => kind))).toEqual([["rows", "verdict"]]);
    worker.end(1);
    await expect(told).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("does not take for told what a thread that is gone was told", async () => {
    submitted = Promise.resolve(GRANTED);
    await server.target.apply(create(VIEW, SERIAL), never);
    workers[0]?.end(1);
    await vi.advanceTimersByTimeAsync(50);
    await server.target.apply(create(VIEW), never);
    workers[1]?.say({ kind: "updates", updates: [{ id: 1, request: UPDATE }] });
    await turn();
    expect(workers[1]?.verdicts).toEqual([]);
    await vi.advanceTimersByTimeAsync(5000);
    await turn();
    expect(workers[1]?.verdicts).toMatchObject([
      { verdict: { rcode: 2, message: expect.stringContaining("not served") } },
    ]);
  });

  it("hears of a socket that is gone, so that it is opened again", async () => {
    await server.target.apply(create(VIEW), never);
    await server.serve([LISTENER]);
    workers[0]?.say({ kind: "lost", listener: LISTENER, message: "ENODEV" });
    await vi.advanceTimersByTimeAsync(0);
    expect([server.served, lost]).toEqual([[], 1]);
  });

  it("keeps queries only while they are asked for, and only so many", async () => {
    await server.target.apply(create(VIEW), never);
    await server.serve([LISTENER]);
    const entry = {
      at: 0,
      view: "home",
      from: "10.59.0.2",
      transport: "udp",
      name: "a",
      type: "A",
      rcode: "NOERROR",
      durationMs: 0,
    } as const;
    const hear = async (entries: readonly (typeof entry)[]): Promise<void> => {
      workers[0]?.say({ kind: "queried", entries });
      await Promise.resolve();
    };
    await hear([entry]);
    expect(server.queries).toEqual([]);
    server.logQueries(true);
    await hear(Array.from({ length: 2500 }, () => entry));
    expect(server.queries).toHaveLength(1000);
    server.logQueries(false);
    expect(server.queries).toEqual([]);
  });
});
