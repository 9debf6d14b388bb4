// Queries a second, by dnsperf over the loopback of a namespace: our own names against named's, each with one thread for
// answers, in turns.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTopology } from "../test/lab/topology.mjs";
import { median } from "./statistics.mjs";

const NAMES = 1000;
const OURS = { address: "127.0.0.1", port: 5300 };
const PEER = { address: "127.0.0.1", port: 5301 };
const CACHE = { address: "127.0.0.1", port: 5302 };
/** Enough under way that neither side waits for the other; the reference figures were taken so. */
const OUTSTANDING = 100;

/** @typedef {{ perSecond: number; lost: number; averageMs: number }} Run */
/** @typedef {{ zone: { portreeve: Run; named: Run }; cache: { portreeve: Run; named: Run } }} DnsResult */

/**
 * @param {number} rounds
 * @param {number} seconds of each run
 * @param {(text: string) => void} progress
 * @returns {Promise<DnsResult>}
 */
export async function compareDns(rounds, seconds, progress) {
  const topology = await createTopology({ clients: 0 });
  const folder = mkdtempSync(join(tmpdir(), "portreeve-bench-dns-"));
  /** @type {import("node:child_process").ChildProcess[]} */
  const running = [];
  const { gateway } = topology;
  try {
    const zone = Array.from({ length: NAMES }, (_, index) => `n${index} IN A 10.59.${index >> 8}.${index & 255}`);
    writeFileSync(join(folder, "zone"), [...ZONE_HEAD, ...zone, ""].join("\n"));
    writeFileSync(
      join(folder, "named.conf"),
      namedConfig(folder, PEER.port, `zone "bench.example" { type primary; file "zone"; };`),
    );
    writeFileSync(join(folder, "cache.conf"), namedConfig(folder, CACHE.port, "", PEER.port));
    const queries = Array.from({ length: NAMES }, (_, index) => `n${index}.bench.example A`);
    writeFileSync(join(folder, "zone-queries"), `${queries.join("\n")}\n`);
    for (const name of ["named", "cache"]) {
      const server = gateway.spawn(["named", "-f", "-n", "1", "-U", "1", "-c", join(folder, `${name}.conf`)], {
        stdio: "ignore",
      });
      running.push(server);
    }
    const program = fileURLToPath(new URL("./dns-server.mjs", import.meta.url));
    running.push(await ready(gateway, [process.execPath, program, OURS.address, String(OURS.port), String(NAMES)]));
    // A second one that has no names: all it answers was somebody else's, and then its memory's.
    const cache = { address: "127.0.0.1", port: 5303 };
    const upstream = `${PEER.address}:${PEER.port}`;
    running.push(await ready(gateway, [process.execPath, program, cache.address, String(cache.port), "0", upstream]));
    /** @param {{ address: string; port: number }} server */
    const measure = (server) => dnsperf(gateway, server, join(folder, "zone-queries"), seconds);
    const zoneRuns = await inTurns(rounds, { portreeve: OURS, named: PEER }, measure, (text) =>
      progress(`own names: ${text}`),
    );
    const cacheRuns = await inTurns(rounds, { portreeve: cache, named: CACHE }, measure, (text) =>
      progress(`from memory: ${text}`),
    );
    return { zone: zoneRuns, cache: cacheRuns };
  } finally {
    for (const each of running) each.kill("SIGKILL");
    await topology.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const ZONE_HEAD = [
  "$TTL 300",
  "@ IN SOA ns.bench.example. hostmaster.bench.example. 1 1200 180 1209600 5",
  "@ IN NS ns.bench.example.",
  "ns IN A 127.0.0.1",
];

/**
 * @param {string} folder
 * @param {number} port
 * @param {string} zones
 * @param {number} [forwardTo]
 */
function namedConfig(folder, port, zones, forwardTo) {
  const forward =
    forwardTo === undefined
      ? "recursion no;"
      : `recursion yes; forward only; forwarders { 127.0.0.1 port ${forwardTo}; };`;
  return `options {
  directory "${folder}"; pid-file none; session-keyfile "${folder}/session-${port}.key";
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  ${forward} dnssec-validation no; notify no; empty-zones-enable no; allow-query { any; };
};
controls { };
${zones}
`;
}

/**
 * @param {import("../test/lab/topology.mjs").Host} host
 * @param {string[]} command
 */
async function ready(host, command) {
  const server = host.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
  if (server.stdout === null) throw new Error("no stdout");
  await once(server.stdout, "data");
  return server;
}

/**
 * @param {number} rounds
 * @param {{ portreeve: { address: string; port: number }; named: { address: string; port: number } }} servers
 * @param {(server: { address: string; port: number }) => Promise<Run>} measure
 * @param {(text: string) => void} progress
 */
async function inTurns(rounds, servers, measure, progress) {
  /** @type {{ portreeve: Run[]; named: Run[] }} */
  const runs = { portreeve: [], named: [] };
  for (const subject of /** @type {const} */ (["portreeve", "named"])) await measure(servers[subject]);
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of /** @type {const} */ (["portreeve", "named"])) {
      const run = await measure(servers[subject]);
      runs[subject].push(run);
      progress(`${subject} ${Math.round(run.perSecond)}/s, ${run.lost} lost, ${run.averageMs.toFixed(2)} ms`);
    }
  }
  return { portreeve: middle(runs.portreeve), named: middle(runs.named) };
}

/** @param {Run[]} runs */
function middle(runs) {
  return {
    perSecond: median(runs.map((run) => run.perSecond)),
    lost: median(runs.map((run) => run.lost)),
    averageMs: median(runs.map((run) => run.averageMs)),
  };
}

/**
 * @param {import("../test/lab/topology.mjs").Host} host
 * @param {{ address: string; port: number }} server
 * @param {string} queries
 * @param {number} seconds
 * @returns {Promise<Run>}
 */
async function dnsperf(host, { address, port }, queries, seconds) {
  const text = await host.exec(
    "dnsperf",
    "-s",
    address,
    "-p",
    String(port),
    "-d",
    queries,
    "-l",
    String(seconds),
    "-q",
    String(OUTSTANDING),
  );
  /** @param {RegExp} figure */
  const number = (figure) => Number(figure.exec(text)?.[1] ?? Number.NaN);
  const answered = number(/NOERROR (\d+) /);
  if (!(answered > 0)) throw new Error(`dnsperf had no answers:\n${text}`);
  return {
    perSecond: number(/Queries per second:\s+([\d.]+)/),
    lost: number(/Queries lost:\s+(\d+)/),
    averageMs: number(/Average Latency \(s\):\s+([\d.]+)/) * 1000,
  };
}

/**
 * @param {DnsResult} result
 * @param {(value: number) => string} n
 */
export function dnsRows({ zone, cache }, n) {
  /** @param {string} what @param {{ portreeve: Run; named: Run }} runs */
  const row = (what, { portreeve, named }) => [
    what,
    n(portreeve.perSecond),
    n(named.perSecond),
    `${n(portreeve.perSecond / named.perSecond)} ×`,
  ];
  return [
    ["", "Portreeve", "named", "ratio"],
    row("DNS answers of our own names, /s", zone),
    row("DNS answers from memory, /s", cache),
  ];
}
