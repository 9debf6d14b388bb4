// The WireGuard target of the built program, inside a namespace: driven by hand, or by the reconciler's engine.
import { built, obey } from "./driven.mjs";
import { clock, DrivenStates } from "./driven-states.mjs";

const [, , instanceId] = process.argv;
const { createWireguardTarget, removeWireguard } = await built("adapters/wireguard/target");
const { PeerActivityLog } = await built("adapters/wireguard/peer-activity");
const { readLinks, watchLinks } = await built("adapters/kernel/links");
const { wireguard } = await built("reconcilers/wireguard");
const { Secret } = await built("events/secret");
const { PortreeveError } = await built("lib/errors");

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

const states = new DrivenStates();
const activity = new PeerActivityLog(clock, Date.now);
const target = createWireguardTarget({
  instanceId,
  secrets,
  wanted: (/** @type {string} */ key) => states.state.rows.get(key)?.spec,
  onDump: (/** @type {any} */ dump) => activity.record(dump),
  endpointOf: (/** @type {string} */ publicKey) => activity.activity(publicKey)?.endpoint ?? null,
});
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
  want: ({ rows }) => states.want(rows),
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
    reconciler = states.reconciler({ ...wireguard(), select: states.select }, target);
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
