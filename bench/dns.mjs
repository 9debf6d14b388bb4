// Queries a second, by dnsperf over the loopback of a namespace: our own names against named's and dnsmasq's, and answers
// from memory, each with one thread for answers, in turns. Then how long answers take at half of the rate each has.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTopology } from "../test/lab/topology.mjs";
import { startNamed } from "./named.mjs";
import { median } from "./statistics.mjs";

const NAMES = 1000;
const ZONE = "bench.example";
const ADDRESS = "127.0.0.1";
/** Enough under way that neither side waits for the other; the reference figures were taken so. */
const OUTSTANDING = 100;
const SUBJECTS = /** @type {const} */ (["portreeve", "named", "dnsmasq"]);
const PROGRAM = fileURLToPath(new URL("dns-server.mjs", import.meta.url));
/** Where each has names of its own, and where it has what another told it. */
const OWN = { portreeve: 5300, named: 5301, dnsmasq: 5304 };
const MEMORY = { portreeve: 5303, named: 5302, dnsmasq: 5305 };

/** @typedef {"portreeve" | "named" | "dnsmasq"} Subject */
/** @typedef {{ perSecond: number; lost: number; p99Ms: number }} Run `p99Ms`: at half of `perSecond` */
/** @typedef {{ zone: Record<Subject, Run>; memory: Record<Subject, Run> }} DnsResult */

/**
 * @param {number} rounds
 * @param {number} seconds of each run
 * @param {(text: string) => void} progress
 * @returns {Promise<DnsResult>}
 */
export async function compareDns(rounds, seconds, progress) {
  const topology = await createTopology({ clients: 0 });
  const folder = mkdtempSync(join(tmpdir(), "portreeve-bench-dns-"));
  /** @type {{ close(): Promise<void> }[]} */
  const running = [];
  const { gateway } = topology;
  const addressOf = (/** @type {number} */ index) => `10.59.${index >> 8}.${index & 255}`;
  const indices = Array.from({ length: NAMES }, (_, index) => index);
  try {
    const records = indices.map((index) => `n${index} IN A ${addressOf(index)}`);
    const zone = { address: ADDRESS, zone: ZONE };
    running.push(await startNamed(gateway, { ...zone, folder: join(folder, "own"), port: OWN.named, records }));
    const forwarder = `${ADDRESS} port ${OWN.named}`;
    running.push(await startNamed(gateway, { ...zone, folder: join(folder, "memory"), port: MEMORY.named, forwarder }));
    const hosts = join(folder, "hosts");
    writeFileSync(hosts, indices.map((index) => `${addressOf(index)} n${index}.${ZONE}\n`).join(""));
    running.push(startDnsmasq(gateway, OWN.dnsmasq, [`--addn-hosts=${hosts}`]));
    const upstream = [`--server=${ADDRESS}#${OWN.named}`, "--cache-size=10000"];
    running.push(startDnsmasq(gateway, MEMORY.dnsmasq, upstream));
    running.push(await startOurs(gateway, [ADDRESS, `${OWN.portreeve}`, `${NAMES}`]));
    // One that has no names: all it answers was somebody else's, and then its memory's.
    running.push(await startOurs(gateway, [ADDRESS, `${MEMORY.portreeve}`, "0", `${ADDRESS}:${OWN.named}`]));
    const queries = join(folder, "queries");
    writeFileSync(queries, indices.map((index) => `n${index}.${ZONE} A\n`).join(""));
    /** @param {number} port @param {string[]} more */
    const measure = (port, ...more) => dnsperf(gateway, port, ["-d", queries, "-l", `${seconds}`, ...more]);
    return {
      zone: await inTurns(rounds, OWN, measure, (text) => progress(`own names: ${text}`)),
      memory: await inTurns(rounds, MEMORY, measure, (text) => progress(`from memory: ${text}`)),
    };
  } finally {
    for (const each of running) await each.close();
    await topology.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {import("../test/lab/topology.mjs").Host} host @param {string[]} args */
async function startOurs(host, args) {
  const child = host.spawn([process.execPath, PROGRAM, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout === null) throw new Error("no stdout");
  await once(child.stdout, "data");
  return ending(child);
}

/** @param {import("../test/lab/topology.mjs").Host} host @param {number} port @param {string[]} args */
function startDnsmasq(host, port, args) {
  const place = [`--port=${port}`, `--listen-address=${ADDRESS}`, "--bind-interfaces", "--user=root"];
  const plain = ["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="];
  // Its limit of queries under way to another server is 150 as it comes; dnsperf has fewer.
  return ending(host.spawn(["dnsmasq", ...plain, ...place, ...args], { stdio: "ignore" }));
}

/** @param {import("node:child_process").ChildProcess} child */
function ending(child) {
  return {
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/**
 * @param {number} rounds
 * @param {Record<Subject, number>} ports
 * @param {(port: number, ...more: string[]) => Promise<Run>} measure
 * @param {(text: string) => void} progress
 */
async function inTurns(rounds, ports, measure, progress) {
  /** @type {Record<Subject, Run[]>} */
  const runs = { portreeve: [], named: [], dnsmasq: [] };
  for (const subject of SUBJECTS) await measure(ports[subject]);
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of SUBJECTS) {
      const full = await measure(ports[subject]);
      const { p99Ms } = await measure(ports[subject], "-v", "-Q", `${Math.round(full.perSecond / 2)}`);
      runs[subject].push({ ...full, p99Ms });
      progress(
        `${subject} ${Math.round(full.perSecond)}/s, ${full.lost} lost, p99 at half of it ${p99Ms.toFixed(2)} ms`,
      );
    }
  }
  return { portreeve: middle(runs.portreeve), named: middle(runs.named), dnsmasq: middle(runs.dnsmasq) };
}

/** @param {Run[]} runs @returns {Run} */
function middle(runs) {
  return {
    perSecond: median(runs.map((run) => run.perSecond)),
    lost: median(runs.map((run) => run.lost)),
    p99Ms: median(runs.map((run) => run.p99Ms)),
  };
}

/**
 * @param {import("../test/lab/topology.mjs").Host} host
 * @param {number} port
 * @param {readonly string[]} args
 * @returns {Promise<Run>}
 */
async function dnsperf(host, port, args) {
  const text = await host.exec("dnsperf", "-s", ADDRESS, "-p", `${port}`, "-q", `${OUTSTANDING}`, ...args);
  /** @param {RegExp} figure */
  const number = (figure) => Number(figure.exec(text)?.[1] ?? Number.NaN);
  if (!(number(/NOERROR (\d+) /) > 0)) throw new Error(`dnsperf had no answers:\n${text.slice(-2000)}`);
  // With -v, a line for each answer.
  const times = [...text.matchAll(/^> NOERROR .* (\d+\.\d+)$/gm)].map(([, seconds]) => Number(seconds));
  times.sort((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99)] ?? Number.NaN;
  return {
    perSecond: number(/Queries per second:\s+([\d.]+)/),
    lost: number(/Queries lost:\s+(\d+)/),
    p99Ms: 1000 * p99,
  };
}

/**
 * @param {DnsResult} result
 * @param {(value: number) => string} n
 */
export function dnsRows({ zone, memory }, n) {
  /** @param {string} what @param {Record<Subject, Run>} runs */
  const rows = (what, { portreeve, named, dnsmasq }) => [
    [
      `DNS answers ${what}, /s (peer: named; floor 0.5 ×, goal 0.7 ×)`,
      n(portreeve.perSecond),
      n(named.perSecond),
      `${n(portreeve.perSecond / named.perSecond)} ×`,
    ],
    ["  beside dnsmasq", "", n(dnsmasq.perSecond), `${n(portreeve.perSecond / dnsmasq.perSecond)} ×`],
    [
      "  p99 at half of the rate, ms (named, dnsmasq; goal below 5)",
      n(portreeve.p99Ms),
      `${n(named.p99Ms)}, ${n(dnsmasq.p99Ms)}`,
      "",
    ],
  ];
  return [
    ["", "Portreeve", "peer or base", "ratio"],
    ...rows("of our own names", zone),
    ...rows("from memory", memory),
  ];
}
