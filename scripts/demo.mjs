// A story with real packets: internet, gateway and client in network namespaces, the controller killed in between.
// Whatever happens, also Ctrl-C, what was there before is all that is there afterwards.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Agent } from "../test/lab/agent.mjs";
import { Gateway } from "../test/lab/gateway.mjs";
import { encodeMap } from "../test/lab/programs/pcp-wire.mjs";
import {
  createTopology,
  findProgram,
  LAN_GATEWAY,
  missingForLab,
  namespacesOf,
  sweepNamespaces,
  WAN_GATEWAY,
} from "../test/lab/topology.mjs";
import { build } from "./build.mjs";
import { ensureNpmPackages, installSystemPackages, missingSystemPackages, say } from "./steps.mjs";

const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined;
/** @param {string} code @param {string} text */
const paint = (code, text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = (/** @type {string} */ text) => paint("1", text);
const dim = (/** @type {string} */ text) => paint("2", text);
const good = (/** @type {string} */ text) => `  ${paint("32", "✓")} ${text}`;

const PICTURE = `
   internet                 gateway                  client
  ┌────────────┐   wan0   ┌──────────────┐   lan0   ┌──────────────┐
  │ 11.22.33.2 ├──────────┤ 11.22.33.1   │          │              │
  └────────────┘          │ 192.168.77.1 ├──────────┤ 192.168.77.2 │
                          └──────────────┘          └──────────────┘`;

let chapter = 0;
/** @param {string} title */
function begin(title) {
  chapter += 1;
  say(`\n${bold(`${chapter}  ${title}`)}`);
}

/** @param {string} text what a program printed */
function quote(text) {
  for (const line of text.trimEnd().split("\n")) say(`    ${dim(line)}`);
}

/** @param {unknown} condition @param {string} text */
function show(condition, text) {
  if (!condition) throw new Error(`this did not come true: ${text}`);
  say(good(text));
}

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => {
    say(dim("\n  interrupted: removing what was made"));
    process.exit(130); // the lab's own exit hooks remove namespaces, their processes, and files
  });
}
await prepare();
await sweepNamespaces();

const topology = await createTopology();
const gateway = new Gateway(topology.gateway, { lan: [{ interface: "lan0" }], log: { level: "warn" } });
const internet = new Agent(topology.internet);
const client = new Agent(topology.clients[0] ?? topology.internet);
let made = inventory();
try {
  await tell();
  made = inventory();
} catch (error) {
  process.exitCode = 1;
  say(`\n  ${paint("31", "✗")} ${error instanceof Error ? error.message : String(error)}`);
  quote(gateway.log.slice(-10).join("\n"));
} finally {
  internet.close();
  client.close();
  await gateway.close();
  await topology.close();
}
begin("Nothing is left");
const left = inventory();
for (const [what, count] of Object.entries(made)) {
  const remaining = left[what] ?? 0;
  if (remaining > 0) process.exitCode = 1;
  say(remaining === 0 ? good(`${what}: ${count} made, none left`) : `  ✗ ${what}: ${remaining} left`);
}
say("");

async function tell() {
  begin("A client behind a gateway, and the internet");
  say(dim(PICTURE));
  const ready = await gateway.start();
  show(ready.msg === "ready", "the controller is ready on the gateway");
  await client.listen({ tcp: [8080], udp: [9000] });
  show(await internet.refusedTcp({ host: WAN_GATEWAY, port: 8080 }), "from the internet, port 8080 is closed");

  begin("The client asks for a port, as real clients do");
  await askByNatPmp();
  const reply = await askByPcp();
  show(
    reply?.result === 0,
    `PCP granted UDP ${reply?.externalPort} at ${reply?.externalAddress} for ${reply?.lifetime} s`,
  );
  quote((await gateway.cli("port", "list")).stdout);

  begin("A stranger connects");
  const byTcp = await internet.tcp({ host: WAN_GATEWAY, port: 8080, payload: "hello from outside" });
  show(byTcp.payload === "hello from outside", `TCP: the client saw ${byTcp.sawAddress} say “${byTcp.payload}”`);
  const byUdp = await internet.udp({ host: WAN_GATEWAY, port: 9000, payload: "and by UDP" });
  show(byUdp.payload === "and by UDP", `UDP: the client saw ${byUdp.sawAddress} say “${byUdp.payload}”`);

  begin("The controller is killed while a connection lives");
  await internet.openStream("old", { host: WAN_GATEWAY, port: 8080 });
  await gateway.kill();
  show(!gateway.running, "kill -9: no controller runs");
  const alive = await internet.say("old", "still there?");
  show(alive.payload === "still there?", "the old connection goes on");
  const fresh = await internet.tcp({ host: WAN_GATEWAY, port: 8080 });
  show(fresh.by === "c0", "a new connection gets through as well: the forward is in the kernel");
  const started = performance.now();
  await gateway.start();
  const again = await askByPcp();
  show(
    again?.externalPort === reply?.externalPort,
    `back after ${seconds(started)} s; the client asks again and keeps its port`,
  );
  show((again?.epoch ?? 0) >= (reply?.epoch ?? 1), "its epoch went on, so no client takes anything for lost");
  show(
    (await gateway.cli("events", "verify")).code === 0,
    "every event in the log is there, and the chain of hashes holds",
  );

  begin("Another program flushes the whole ruleset");
  const flushed = performance.now();
  await topology.gateway.exec("nft", "flush", "ruleset");
  await until(async () => (await internet.refusedTcp({ host: WAN_GATEWAY, port: 8080, timeoutMs: 200 })) === null);
  show(true, `the forward is back, and open, within ${Math.ceil(performance.now() - flushed)} ms`);
  show((await internet.say("old", "and now?")).payload === "and now?", "the old connection never noticed");

  begin("The client is done");
  const deleted = await askByPcp(0);
  show(deleted?.result === 0, "PCP: its mapping is deleted");
  show(await internet.refusedUdp({ host: WAN_GATEWAY, port: 9000 }), "new flows are refused");
  quote((await gateway.cli("events", "list")).stdout.split("\n").slice(-8).join("\n"));
}

async function askByNatPmp() {
  if (findProgram("natpmpc") === null) {
    await client.pcp({ server: LAN_GATEWAY, bytes: Buffer.from("000200001f901f9000000e10", "hex") });
    return say(good("NAT-PMP: asked for TCP 8080"));
  }
  const told = await client.host.exec("natpmpc", "-g", LAN_GATEWAY, "-a", "8080", "8080", "tcp", "3600");
  say(`  ${dim("client $")} natpmpc -a 8080 8080 tcp 3600`);
  return quote(
    told
      .split("\n")
      .filter((line) => /^(Public IP|Mapped)/.test(line))
      .join("\n"),
  );
}

async function askByPcp(lifetime = 7200) {
  const bytes = encodeMap({
    client: client.address,
    protocol: "udp",
    internalPort: 9000,
    suggestedPort: 9000,
    lifetime,
    nonce: "0d".repeat(12),
  });
  return await client.pcp({ server: LAN_GATEWAY, bytes, timeoutMs: 8000 });
}

/** @param {() => Promise<boolean>} condition */
async function until(condition) {
  for (let tries = 0; tries < 50; tries += 1) if (await condition()) return;
  throw new Error("it did not come back");
}

/** @param {number} since */
function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1);
}

/** @returns {Record<string, number>} what of this demo exists now */
function inventory() {
  return {
    namespaces: namespacesOf(process.pid).length,
    processes: descendants(process.pid).length,
    folders: existsSync(gateway.folder) ? 1 : 0,
  };
}

/** @param {number} pid @returns {number[]} */
function descendants(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    return readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  });
  return [...children, ...children.filter((child) => existsSync(`/proc/${child}`)).flatMap(descendants)];
}

async function prepare() {
  if (!ensureNpmPackages()) process.exit(1);
  if (process.getuid?.() === 0) installSystemPackages(missingSystemPackages("packaging/run-packages") ?? []);
  const missing = missingForLab();
  if (missing !== null) {
    process.stderr.write(`The demo needs a lab of its own: ${missing}. Try: sudo npm run demo\n`);
    process.exit(1);
  }
  if (!(await build())) process.exit(1);
}
