// The nftables targets of the built program, inside a namespace: JSON lines in, JSON lines out.
import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";

/** Not a literal import: types come from the sources, and what runs is what was built. @param {string} name */
const built = (name) => import(new URL(`../../../dist/adapters/nftables/${name}.js`, import.meta.url).href);
const { Nftables } = await built("nftables");
const { GenerationWatch } = await built("generation-watch");
const { WorkerLink } = await built("worker-link");
const { createForwardsTarget } = await built("forwards-target");
const { createGuardTarget } = await built("guard-target");

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
  const { Executor } = await built("executor");
  const { nftProgram } = await built("nft-library");
  const { openNetfilter } = await built("netfilter");
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

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { id, operation, args } = JSON.parse(line);
  let answer;
  try {
    const run = OPERATIONS[operation];
    if (run === undefined) throw new Error(`the driver cannot ${operation}`);
    answer = { id, value: (await run(args)) ?? null };
  } catch (error) {
    answer = { id, error: { code: /** @type {any} */ (error).code ?? null, message: String(error) } };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
lines.on("close", () => nft.close().then(() => process.exit(0)));
process.stdout.write(`${JSON.stringify({ id: 0, value: "ready" })}\n`);
