// The nftables targets of the built program, inside a namespace.
import { Worker } from "node:worker_threads";
import { built, obey } from "./driven.mjs";

/** @param {string} name */
const part = (name) => built(`adapters/nftables/${name}`);
const { Nftables } = await part("nftables");
const { GenerationWatch } = await part("generation-watch");
const { WorkerLink } = await part("worker-link");
const { createForwardsTarget } = await part("forwards-target");
const { createGuardTarget } = await part("guard-target");

const [, , instanceId, by] = process.argv;
const watch = new GenerationWatch("portreeve");

/** The daemon's own way to the kernel, with the thread in our hands. */
function linkOfThread() {
  /** @type {import("node:worker_threads").Worker | undefined} */
  let thread;
  const start = () => (thread = new Worker(new URL("../../../dist/adapters/nftables/worker.js", import.meta.url)));
  const link = new WorkerLink((/** @type {string} */ reason) => nft.threadLost(reason), start);
  return Object.assign(link, { killThread: () => thread?.terminate() });
}

/** The calls of the thread, in this one, by the nft program. */
async function linkOfProgram() {
  const { Executor } = await part("executor");
  const { nftProgram } = await part("nft-library");
  const { openNetfilter } = await part("netfilter");
  const executor = new Executor(nftProgram(), openNetfilter(), "portreeve");
  return {
    busy: false,
    /** @param {string} name @param {unknown} request */
    call: async (name, request) => executor.call(name, request),
    close: async () => executor.close(),
    killThread: () => undefined,
  };
}

const link = by === "program" ? await linkOfProgram() : linkOfThread();
const nft = new Nftables(instanceId, link, watch);
const { signal } = new AbortController();
const targets = { forwards: createForwardsTarget(nft), guard: createGuardTarget(nft) };
/** @type {{ target: string; by: string }[]} */
const drifts = [];
for (const [target, { watch }] of Object.entries(targets))
  watch?.((/** @type {string} */ by) => drifts.push({ target, by }));

/** @param {{ target: "forwards" | "guard" }} args */
const targetOf = ({ target }) => targets[target];

/** @type {Record<string, (args: any) => unknown>} */
const OPERATIONS = {
  observe: async (args) => Object.fromEntries(await targetOf(args).observe(signal)),
  apply: (args) => targetOf(args).apply(args.plan, signal),
  unchanged: (args) => targetOf(args).unchanged(),
  drifts: () => drifts.splice(0),
  foreign: () => nft.findForeignInstance(),
  takeOver: ({ from }) => nft.takeOver(from),
  removeAll: () => nft.removeAllOurs(),
  killThread: () => link.killThread(),
  tracksCommits: () => nft.identify().then(() => nft.tracksCommits),
};

obey(OPERATIONS, () => nft.close());
