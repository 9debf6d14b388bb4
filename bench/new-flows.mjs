// The data plane: new flows through a gateway with 10,000 forwards against one with a single forward, in turn.
import { fileURLToPath } from "node:url";
import { median, medianInterval } from "./statistics.mjs";
import { CLIENTS, FIRST_EXTERNAL, FIRST_INTERNAL, startSubject } from "./subject.mjs";

const PROGRAM = fileURLToPath(new URL("flow-load.py", import.meta.url));
const PYTHON = "/usr/bin/python3";
const MANY = 10_000;
const ORDER = /** @type {const} */ (["one", "many"]);
/** Below the kernel's limit of connection tracking, with what an earlier run left. */
const FLOWS = { tcp: 15_000, udp: 40_000 };

/**
 * @param {number} pairs
 * @param {(text: string) => void} progress
 */
export async function compareNewFlows(pairs, progress) {
  const one = await startSubject("portreeve");
  const many = await startSubject("portreeve").catch(async (error) => {
    await one.close();
    throw error;
  });
  try {
    progress(`making ${MANY} forwards`);
    await Promise.all([one.map(1), many.map(MANY, { inFlight: 32 })]);
    await Promise.all([one.map(1, { protocol: "udp" }), many.map(MANY, { protocol: "udp", inFlight: 32 })]);
    await Promise.all([serve(one), serve(many)]);
    return {
      tcp: await pairsOf("tcp", pairs, one, many, progress),
      udp: await pairsOf("udp", pairs, one, many, progress),
    };
  } finally {
    await one.close();
    await many.close();
  }
}

/** @param {import("./subject.mjs").Subject} subject @returns {Promise<void>} */
function serve({ client }) {
  const ports = Math.ceil(MANY / CLIENTS);
  const child = client.spawn([PYTHON, PROGRAM, "serve", String(FIRST_INTERNAL), String(ports)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
}

/**
 * @param {"tcp" | "udp"} protocol
 * @param {number} pairs
 * @param {import("./subject.mjs").Subject} one
 * @param {import("./subject.mjs").Subject} many
 * @param {(text: string) => void} progress
 */
async function pairsOf(protocol, pairs, one, many, progress) {
  const rates = { one: /** @type {number[]} */ ([]), many: /** @type {number[]} */ ([]) };
  await measure(protocol, one, 1);
  await measure(protocol, many, MANY);
  for (let pair = 0; pair < pairs; pair += 1) {
    // Which goes first changes, so that a drift of the machine favours neither.
    const order = pair % 2 === 0 ? ORDER : ORDER.toReversed();
    for (const which of order) {
      rates[which].push(which === "one" ? await measure(protocol, one, 1) : await measure(protocol, many, MANY));
    }
    progress(`${protocol} pair ${pair + 1}: ${rates.one.at(-1)?.toFixed(0)}/s and ${rates.many.at(-1)?.toFixed(0)}/s`);
  }
  const ratios = rates.many.map((rate, index) => rate / (rates.one[index] ?? Number.NaN));
  return {
    one: median(rates.one),
    many: median(rates.many),
    ratio: median(ratios),
    interval: medianInterval(ratios),
  };
}

/** @param {"tcp" | "udp"} protocol @param {import("./subject.mjs").Subject} subject @param {number} ports */
async function measure(protocol, { topology }, ports) {
  const { internet, gateway } = topology;
  await gateway.exec("conntrack", "-F").catch(() => undefined);
  const target = [gateway.address, FIRST_EXTERNAL, ports, FLOWS[protocol]].map(String);
  const args = protocol === "tcp" ? ["tcp", ...target] : ["udp", internet.address, ...target];
  const result = JSON.parse(await internet.exec(PYTHON, PROGRAM, ...args));
  if (result.failed > 0) throw new Error(`${result.failed} of ${FLOWS[protocol]} ${protocol} flows failed`);
  const tracked = Number(await gateway.exec("conntrack", "-C"));
  // Each flow was let through and tracked; else a gateway that drops would be the fastest.
  if (protocol === "udp" && tracked < FLOWS.udp * 0.95) throw new Error(`only ${tracked} UDP flows passed`);
  return result.flows / result.seconds;
}
