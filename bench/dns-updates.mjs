// Signed DNS UPDATEs a second, durable before they are answered: the same client, keys and bytes to us and to named, whose
// journal is on the same disk as our log. Also what names cost in memory.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Gateway } from "../test/lab/gateway.mjs";
import { addressAfter, createTopology } from "../test/lab/topology.mjs";
import { startNamed } from "./named.mjs";
import { memoryOf } from "./process-memory.mjs";
import { median } from "./statistics.mjs";

const PROGRAM = fileURLToPath(new URL("dns-update-load.mjs", import.meta.url));
const UPDATES = 1000;
const MANY_NAMES = 10_000;
const SEVERAL_DEVICES = 16;
const IN_FLIGHT = 16;
/** As many as keep both busy: what arrives while a commit is under way shares the next one's fsync. */
const MANY_IN_FLIGHT = 64;
const RESEND_MS = 3000;
const ZONE = "lan0.internal";
/** V8 has compiled what is hot after some thousand updates; a gateway runs for months. The peer has as many of them. */
const WARM_UP_ROUNDS = 3;

/** @typedef {{ perSecond: number; p50: number; p99: number }} Rate */
/** @typedef {{ devices: number; inFlight: number; ours: Rate; afterStart: Rate; oursAgain: Rate; named: Rate; namedAgain: Rate }} UpdateRates `again`: what is so already is said once more */
/** @typedef {{ withoutDns: number; idle: number; full: number; rateAtFull: Rate }} NameCosts PSS in MB */
/** @typedef {{ rates: UpdateRates[]; costs: NameCosts }} UpdateResult */

/**
 * @param {number} pairs
 * @param {(text: string) => void} progress
 * @returns {Promise<UpdateResult>}
 */
export async function compareDnsUpdates(pairs, progress) {
  const rates = [];
  for (const { devices, inFlight } of [
    { devices: SEVERAL_DEVICES, inFlight: IN_FLIGHT },
    { devices: SEVERAL_DEVICES, inFlight: MANY_IN_FLIGHT },
    { devices: 1, inFlight: IN_FLIGHT },
  ]) {
    /** @type {Record<"ours" | "afterStart" | "oursAgain" | "named" | "namedAgain", Rate>[]} */
    const runs = [];
    for (let pair = 0; pair < pairs; pair += 1) {
      const run = await withSubject(devices, (subject) => onePair(subject, inFlight));
      progress(
        `updates of ${devices} device(s), ${inFlight} in flight: ${run.ours.perSecond.toFixed(0)}/s (${run.afterStart.perSecond.toFixed(0)} after the start), named ${run.named.perSecond.toFixed(0)}/s`,
      );
      runs.push(run);
    }
    /** @param {"ours" | "afterStart" | "oursAgain" | "named" | "namedAgain"} which */
    const middle = (which) => medianRate(runs.map((run) => run[which]));
    rates.push({
      devices,
      inFlight,
      ours: middle("ours"),
      afterStart: middle("afterStart"),
      oursAgain: middle("oursAgain"),
      named: middle("named"),
      namedAgain: middle("namedAgain"),
    });
  }
  return { rates, costs: await nameCosts(progress) };
}

/** @param {readonly Rate[]} rates @returns {Rate} */
function medianRate(rates) {
  return {
    perSecond: median(rates.map(({ perSecond }) => perSecond)),
    p50: median(rates.map(({ p50 }) => p50)),
    p99: median(rates.map(({ p99 }) => p99)),
  };
}

/** @typedef {Awaited<ReturnType<typeof openSubject>>} Subject */

/** Ours runs first and is then stopped: neither is measured beside the other. @param {Subject} subject @param {number} inFlight */
async function onePair(subject, inFlight) {
  const add = { kind: "add", first: 0, count: UPDATES };
  const remove = { ...add, kind: "remove" };
  const ask = { ...add, kind: "ask" };
  const warming = Array.from({ length: WARM_UP_ROUNDS }, () => [add, remove]).flat();
  const own = await subject.load(subject.server, 53, [...warming, add, add, ask], inFlight);
  await subject.gateway.stop();
  const named = await startNamed(subject.topology.gateway, {
    folder: join(subject.folder, "named"),
    address: subject.server,
    port: 5353,
    zone: ZONE,
    keys: subject.devices,
  });
  try {
    const peers = await subject.load(subject.server, 5353, [...warming, add, add, ask], inFlight);
    const [afterStart, ours, oursAgain] = [own[0], own[warming.length], own[warming.length + 1]];
    const [peer, peerAgain] = peers.slice(warming.length);
    if (!(afterStart && ours && oursAgain && peer && peerAgain)) throw new Error("a phase has no result");
    return { afterStart, ours, oursAgain, named: peer, namedAgain: peerAgain };
  } finally {
    await named.close();
  }
}

/** @param {(text: string) => void} progress @returns {Promise<NameCosts>} */
async function nameCosts(progress) {
  const withoutDns = await withSubject(0, async ({ gateway }) => memoryOf(gateway.pid).pssMb, false);
  return await withSubject(SEVERAL_DEVICES, async ({ gateway, server, load }) => {
    const idle = memoryOf(gateway.pid).pssMb;
    progress(`filling to ${MANY_NAMES} names`);
    await load(server, 53, [{ kind: "add", first: 0, count: MANY_NAMES }]);
    const full = memoryOf(gateway.pid).pssMb;
    const [rateAtFull] = await load(server, 53, [
      { kind: "add", first: MANY_NAMES, count: UPDATES },
      { kind: "ask", first: 0, count: MANY_NAMES + UPDATES },
    ]);
    if (rateAtFull === undefined) throw new Error("a phase has no result");
    return { withoutDns, idle, full, rateAtFull };
  });
}

/**
 * @template T
 * @param {number} devices
 * @param {(subject: Subject) => Promise<T>} measure
 * @param {boolean} [dns]
 */
async function withSubject(devices, measure, dns = true) {
  const subject = await openSubject(devices, dns);
  try {
    return await measure(subject);
  } finally {
    await subject.close();
  }
}

/** A gateway with a resolver on its LAN, and so many devices there. @param {number} count @param {boolean} dns */
async function openSubject(count, dns) {
  const addresses = Array.from({ length: Math.max(1, count) }, (_, index) => addressAfter("192.168.77.1", index + 1));
  const topology = await createTopology({ clientAddresses: addresses.slice(1).map((each) => `${each}/24`) });
  const [client] = topology.clients;
  if (client === undefined) throw new Error("the topology has no client");
  const folder = mkdtempSync(join(tmpdir(), "portreeve-bench-updates-"));
  const gateway = new Gateway(topology.gateway, {
    lan: [{ interface: "lan0", dns }],
    // One host asks as fast as it can: what is measured is not the limit.
    portControl: { perDevice: { requestsPerSecond: 50_000, eventsPerMinute: 1_000_000, eventBurst: 1_000_000 } },
    dns: { perDevice: { records: 2 * MANY_NAMES } },
    log: { level: "warn" },
  });
  const close = async () => {
    await gateway.close();
    await topology.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await gateway.start();
    /** @type {{ address: string; keyName: string; secret: string }[]} */
    const devices = [];
    for (const [index, address] of addresses.slice(0, count).entries()) {
      const name = `box${index}`;
      const { code, stderr } = await gateway.cli(
        "device",
        "add",
        name,
        "--kind",
        "server",
        "--lan",
        "lan0",
        "--ip",
        address,
      );
      if (code !== 0) throw new Error(stderr);
      /** @type {{ keyName: string; secret: string }} */
      const { keyName, secret } = await gateway.json("device", "key", name, "--dns");
      devices.push({ address, keyName, secret });
    }
    const server = topology.lanGateway;
    return {
      topology,
      gateway,
      folder,
      server,
      devices,
      /** @param {string} address @param {number} port @param {readonly { kind: string; first: number; count: number }[]} phases @param {number} [inFlight] */
      load: (address, port, phases, inFlight = IN_FLIGHT) =>
        runLoad(client, {
          server: address,
          port,
          zone: ZONE,
          devices,
          phases,
          inFlight,
          resendMs: RESEND_MS,
        }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * @param {import("../test/lab/topology.mjs").Host} client
 * @param {object} load
 * @returns {Promise<import("./dns-update-load.mjs").PhaseResult[]>}
 */
async function runLoad(client, load) {
  const child = client.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk) => {
    output += chunk;
  });
  child.stdin?.end(`${JSON.stringify(load)}\n`);
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the load program ended with ${code}`);
  /** @type {import("./dns-update-load.mjs").PhaseResult[]} */
  const results = JSON.parse(output);
  const others = results.filter((each) => Object.keys(each.others).length > 0);
  if (others.length > 0) throw new Error(`not all was answered NOERROR: ${JSON.stringify(results)}`);
  return results;
}

/**
 * @param {UpdateResult} result
 * @param {(value: number) => string} n
 */
export function dnsUpdateRows({ rates, costs }, n) {
  const times = (/** @type {Rate} */ { p50, p99 }) => `${n(p50)} / ${n(p99)}`;
  const ratio = (/** @type {Rate} */ ours, /** @type {Rate} */ peer) => `${n(ours.perSecond / peer.perSecond)} ×`;
  return [
    ...rates.flatMap(({ devices, inFlight, ours, afterStart, oursAgain, named, namedAgain }) => [
      [
        `signed updates of ${devices === 1 ? "one device" : `${devices} devices`}, ${inFlight} in flight, new names 0 → 1,000, durable, /s (peer: named; floor 2 ×, goal 5 ×)`,
        n(ours.perSecond),
        n(named.perSecond),
        ratio(ours, named),
      ],
      ["  p50 / p99, ms", times(ours), times(named), ""],
      ["  as the first thing after a start, /s", n(afterStart.perSecond), "", ratio(afterStart, named)],
      [
        "  said again, which changes nothing, /s",
        n(oursAgain.perSecond),
        n(namedAgain.perSecond),
        ratio(oursAgain, namedAgain),
      ],
    ]),
    [
      "  new names with 10,000 present, /s (base: 0 → 1,000)",
      n(costs.rateAtFull.perSecond),
      n(rates[0]?.ours.perSecond ?? Number.NaN),
      "",
    ],
    ["memory with DNS, idle: PSS, MB (base: without)", n(costs.idle), n(costs.withoutDns), ""],
    ["memory with 10,000 names of 16 devices: PSS, MB (base: idle)", n(costs.full), n(costs.idle), ""],
  ];
}
