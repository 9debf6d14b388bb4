// The WireGuard target of the built program, inside a namespace: driven by hand, or by the reconciler's engine.
import { built, obey } from "./driven.mjs";

const [, , instanceId] = process.argv;
const { createWireguardTarget, removeWireguard } = await built("adapters/wireguard/target");
const { PeerActivityLog } = await built("adapters/wireguard/peer-activity");
const { readLinks, watchLinks } = await built("adapters/kernel/links");
const { createReconciler } = await built("reconcilers/engine/engine");
const { wireguard } = await built("reconcilers/wireguard");
const { createMetrics } = await built("lib/metrics");
const { Secret } = await built("events/secret");
const { PortreeveError } = await built("lib/errors");

/** Milliseconds that only grow, as gateway time does; alarms in a lab need no more than a timer. */
const clock = {
  now: () => Date.now(),
  /** @param {number} at @param {() => void} callback */
  setAlarm(at, callback) {
    const timer = setTimeout(callback, Math.max(0, at - Date.now()));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** @type {Map<string, string>} */
const keys = new Map();
const secrets = {
  /** @param {string} secretId */
  async open(secretId) {
    const key = keys.get(secretId);
    if (key === undefined) throw new PortreeveError("NOT_FOUND", `there is no secret ${secretId}`, "refused");
    return new Secret(key);
  },
};

/** @typedef {{ key: string, spec: any, owners: string[], revision: number }} Row */
/** @type {{ seq: number, rows: Map<string, Row> }} */
let state = { seq: 0, rows: new Map() };
/** @type {Set<(next: typeof state) => void>} */
const listeners = new Set();
const states = {
  get state() {
    return state;
  },
  /** @param {(next: typeof state) => void} listener */
  subscribe(listener) {
    listeners.add(listener);
    return { close: () => listeners.delete(listener) };
  },
};

const activity = new PeerActivityLog(clock, Date.now);
const target = createWireguardTarget({
  instanceId,
  secrets,
  wanted: (/** @type {string} */ key) => state.rows.get(key)?.spec,
  onDump: (/** @type {any} */ dump) => activity.record(dump),
  endpointOf: (/** @type {string} */ publicKey) => activity.activity(publicKey)?.endpoint ?? null,
});
const definition = {
  ...wireguard(),
  select: (/** @type {typeof state} */ { rows }) => ({
    get: (/** @type {string} */ key) => rows.get(key),
    rows: () => rows.values(),
    changedSince: () => null,
  }),
};
/** @type {any} */
let reconciler = null;
/** @type {string[]} */
const drifts = [];
/** @type {{ close(): void }[]} */
const watches = [];
const { signal } = new AbortController();

/** @type {Record<string, (args: any) => unknown>} */
const OPERATIONS = {
  seal: ({ secretId, key }) => void keys.set(secretId, key),
  unseal: ({ secretId }) => void keys.delete(secretId),
  want: ({ rows }) => {
    const seq = state.seq + 1;
    const before = state.rows;
    /** @param {Row} row */
    const revised = (row) => {
      const old = before.get(row.key);
      return old !== undefined && JSON.stringify(old.spec) === JSON.stringify(row.spec)
        ? old
        : { ...row, revision: seq };
    };
    state = { seq, rows: new Map(rows.map((/** @type {Row} */ row) => [row.key, revised(row)])) };
    for (const listener of listeners) listener(state);
    return seq;
  },
  observe: async () => Object.fromEntries(await target.observe(signal)),
  apply: ({ plan }) => target.apply(plan, signal),
  unchanged: () => target.unchanged(),
  watch: () => {
    watches.push(target.watch((/** @type {string} */ by) => drifts.push(by)));
  },
  drifts: () => drifts.splice(0),
  takeOver: ({ from }) => target.takeOver(from),
  teardown: () => removeWireguard(instanceId),
  start: async () => {
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const deps = { clock, random: Math.random, log, metrics: createMetrics(), states, initialized: () => true };
    reconciler = createReconciler(definition, target, { ...deps, pausedUntil: () => null });
    watches.push(
      watchLinks(async () => {
        target.interfacesSeen((await readLinks()).links);
      }),
    );
    return await reconciler.start();
  },
  settled: async ({ seq }) => Object.fromEntries((await reconciler.settled(seq, signal)).failed),
  passes: () => reconciler.passes,
  activity: ({ publicKey }) => activity.activity(publicKey),
  history: ({ publicKey, span }) => activity.history(publicKey, span),
  /** A file of ours without O_CLOEXEC, as LevelDB opens them; what it is. */
  leak: async () => {
    const { default: koffi } = await import("koffi");
    const { readlinkSync } = await import("node:fs");
    return readlinkSync(`/proc/self/fd/${koffi.load("libc.so.6").func("int dup(int)")(0)}`);
  },
};

obey(OPERATIONS, async () => {
  for (const watch of watches) watch.close();
  await reconciler?.close();
});
