// The HAProxy target of the built program, inside a namespace: driven by hand, or by the reconciler's engine.
import { built, obey } from "./driven.mjs";
import { DrivenStates } from "./driven-states.mjs";

const [, , instanceId, runtimeDir, settings = "{}"] = process.argv;
const { createHaproxyTarget, removeHaproxy } = await built("adapters/haproxy/target");
const { InstalledHaproxy } = await built("adapters/haproxy/installed");
const { createRouteTarget, removeRoutes } = await built("adapters/kernel/route-target");
const { returnPathRows, routeKey } = await built("reducers/select/route-rows");
const { sniRoutes } = await built("reconcilers/sni-routes");

const states = new DrivenStates();
const installed = new InstalledHaproxy();
await installed.look();
const target = createHaproxyTarget({ instanceId, runtimeDir, installed, ...JSON.parse(settings) });
/** @type {any} */
let reconciler = null;
/** @type {string[]} */
const drifts = [];
/** @type {{ close(): void }[]} */
const watches = [];
const { signal } = new AbortController();

/** @type {Record<string, (args: any) => unknown>} */
const OPERATIONS = {
  want: ({ rows }) => states.want(rows),
  observe: async () => Object.fromEntries(await target.observe(signal)),
  apply: ({ plan }) => target.apply(plan, signal),
  available: () => target.available(),
  hits: async () => Object.fromEntries(await target.hits()),
  watch: () => {
    watches.push(target.watch((/** @type {string} */ by) => drifts.push(by)));
  },
  drifts: () => drifts.splice(0),
  takeOver: ({ from }) => target.takeOver(from),
  teardown: () => removeHaproxy(instanceId),
  start: async () => {
    reconciler = states.reconciler(sniRoutes(states.select), target);
    return await reconciler.start();
  },
  settled: async ({ seq }) => Object.fromEntries((await reconciler.settled(seq, signal)).failed),
  /** Makes the way back to HAProxy, and tells what is there then. */
  returnPath: async ({ served }) => {
    const routes = createRouteTarget({ tunnel: () => null, keyOf: routeKey });
    const rows = [...returnPathRows(served)].map((spec) => ({ key: routeKey(spec), spec, owners: [], revision: 1 }));
    const plan = rows.map((desired) => ({ op: "create", key: desired.key, desired }));
    const failed = (await routes.apply(plan, signal)).filter((/** @type {any} */ outcome) => !outcome.ok);
    if (failed.length > 0) throw new Error(JSON.stringify(failed));
    return [...(await routes.observe(signal)).values()];
  },
  removeRoutes: () => removeRoutes(),
  passes: () => reconciler.passes,
};

obey(OPERATIONS, async () => {
  for (const watch of watches) watch.close();
  await reconciler?.close();
});
