// The nftables targets of the built program, inside a namespace: JSON lines in, JSON lines out.
import { createInterface } from "node:readline";

/** Not a literal import: types come from the sources, and what runs is what was built. @param {string} name */
const built = (name) => import(new URL(`../../../dist/adapters/nftables/${name}.js`, import.meta.url).href);
const { openNftables } = await built("nftables");
const { createForwardsTarget } = await built("forwards-target");
const { createGuardTarget } = await built("guard-target");

const nft = await openNftables({ instanceId: String(process.argv[2]) });
const { signal } = new AbortController();
const targets = { forwards: createForwardsTarget(nft), guard: createGuardTarget(nft) };
/** @type {{ target: string; by: string }[]} */
const drifts = [];
for (const [target, { watch }] of Object.entries(targets))
  watch?.((/** @type {string} */ by) => drifts.push({ target, by }));

/** @param {{ target: "forwards" | "guard" }} args */
const targetOf = ({ target }) => /** @type {any} */ (targets[target]);

/** @type {Record<string, (args: any) => unknown>} */
const OPERATIONS = {
  observe: async (args) => Object.fromEntries(await targetOf(args).observe(signal)),
  apply: (args) => targetOf(args).apply(args.plan, signal),
  unchanged: (args) => targetOf(args).unchanged(),
  drifts: () => drifts.splice(0),
  foreign: () => nft.findForeignInstance(),
  takeOver: ({ from }) => nft.takeOver(from),
  removeAll: () => nft.removeAllOurs(),
  library: () => nft.library,
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
