// A shared TLS port: ours, a plain forward to the same target, and nginx with `ssl_preread`, in turns.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hello } from "../test/lab/programs/client-hello.mjs";
import { digestOf, PIECE_OCTETS } from "../test/lab/programs/sni-content.mjs";
import { createTopology, WAN_GATEWAY } from "../test/lab/topology.mjs";
import { drive } from "./driven.mjs";
import { median } from "./statistics.mjs";

const INSTANCE = "0011223344556677";
const NAME = "a.example.com";
/** Names beside the one that is asked for. */
const OTHER_NAMES = 1000;
const TLS_PORT = 60443;
const NGINX_PORT = 60543;
const FLOWS = 2;
const IN_FLIGHT = 16;
/** Of one source, as all clients are one here. */
const LIMITS = { connections: 4000, connectionsPerSource: 4000, ratePerSource: 1_000_000 };
/**
 * External ports by who answers there, and the target's of the same numbers: one client's connections that come to one
 * port of it by several ways would be in each other's way in connection tracking.
 */
const PORTS = {
  portreeve: { tls: 443, flow: 9001 },
  direct: { tls: 444, flow: 9002 },
  nginx: { tls: 445, flow: 9003 },
};
/** A piece of each transfer every so often. */
const PACE_MS = 250;
const SUBJECTS = /** @type {const} */ (["portreeve", "direct", "nginx"]);

/** @typedef {{ perSecond: number; p50: number; p99: number; failures: number }} Handshakes */
/** @typedef {{ gbits: number; cpuPerGbit: number; handshakes: Handshakes; cpuMicros: number }} Run CPU: of the proxy itself, in ms and µs */
/** @typedef {{ changes: number; perSecond: number; before: Handshakes; during: Handshakes; transfers: number; intact: number; sameProcess: boolean }} Changes */
/** @typedef {{ runs: Record<typeof SUBJECTS[number], Run>; ratios: { throughput: number; handshakes: number }; changes: Changes }} SniResult */

/**
 * @param {number} rounds
 * @param {number} changes
 * @param {(text: string) => void} progress
 * @returns {Promise<SniResult>}
 */
export async function compareSni(rounds, changes, progress) {
  const topology = await createTopology({ clients: 1 });
  const folder = mkdtempSync(join(tmpdir(), "portreeve-bench-sni-"));
  const lab = await startLab(topology, folder);
  try {
    /** @type {Record<typeof SUBJECTS[number], Run[]>} */
    const runs = { portreeve: [], direct: [], nginx: [] };
    for (const subject of SUBJECTS) await lab.measure(subject, 1);
    for (let round = 0; round < rounds; round += 1) {
      for (const subject of SUBJECTS) {
        const run = await lab.measure(subject, 3);
        runs[subject].push(run);
        const { gbits, cpuPerGbit, handshakes, cpuMicros } = run;
        const failed = handshakes.failures === 0 ? "" : `, ${handshakes.failures} failed`;
        progress(
          `${subject}: ${gbits.toFixed(1)} Gbit/s (${cpuPerGbit.toFixed(0)} ms each), ${Math.round(handshakes.perSecond)} handshakes/s${failed}, ${Math.round(cpuMicros)} µs each`,
        );
      }
    }
    const pairs = (/** @type {(run: Run) => number} */ of) =>
      median(runs.portreeve.map((run, index) => of(run) / of(/** @type {Run} */ (runs.nginx[index]))));
    return {
      runs: { portreeve: middle(runs.portreeve), direct: middle(runs.direct), nginx: middle(runs.nginx) },
      ratios: {
        throughput: pairs(({ gbits }) => gbits),
        handshakes: pairs(({ handshakes }) => handshakes.perSecond),
      },
      changes: await lab.changes(changes, progress),
    };
  } finally {
    await lab.close();
    await topology.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {import("../test/lab/topology.mjs").Topology} topology
 * @param {string} folder
 */
async function startLab(topology, folder) {
  const { gateway, internet } = topology;
  const backend = /** @type {import("../test/lab/topology.mjs").Host} */ (topology.clients[0]);
  await gateway.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
  makeCertificate(folder);
  const flow = fileURLToPath(new URL("./sni-flow.py", import.meta.url));
  const running = [
    startNginx(backend, folder, "target", targetConfig(folder)),
    startNginx(gateway, folder, "proxy", proxyConfig(backend.address)),
    ...SUBJECTS.map((subject) =>
      backend.spawn(["python3", flow, "serve", String(PORTS[subject].flow)], { stdio: "ignore" }),
    ),
  ];
  const pieces = drive(backend, "sni-backend.mjs", ["one", folder, "8443", String(PACE_MS)]);
  const nftables = drive(gateway, "nftables-driver.mjs", [INSTANCE, "library"]);
  const settings = JSON.stringify({ limits: LIMITS });
  let haproxy = drive(gateway, "haproxy-driver.mjs", [INSTANCE, folder, settings]);
  await applyForwards(nftables, backend.address);
  await haproxy.call("returnPath", { served: ["lan0"] });
  const route = (/** @type {string} */ name, port = PORTS.portreeve.tls, toPort = 443) =>
    row({ kind: "route", address: WAN_GATEWAY, port, name, toAddress: backend.address, toPort, source: "keep" });
  const rows = [
    row({ kind: "proxy", instanceId: INSTANCE, segments: [] }),
    route(NAME),
    route(NAME, PORTS.portreeve.flow, PORTS.portreeve.flow),
    route("pieces.example.net", PORTS.portreeve.tls, 8443),
    ...Array.from({ length: OTHER_NAMES }, (_, index) => route(`n${index}.example.org`)),
  ];
  await settle(haproxy, rows);
  await haproxy.call("start");

  /** @param {number} port @param {number} seconds @returns {Promise<Handshakes>} */
  const handshakes = async (port, seconds) => {
    const program = fileURLToPath(new URL("./sni-handshakes.mjs", import.meta.url));
    const args = [program, WAN_GATEWAY, String(port), NAME, String(IN_FLIGHT), String(seconds)];
    return JSON.parse(await internet.exec(process.execPath, ...args));
  };
  return {
    /** @param {typeof SUBJECTS[number]} subject @param {number} seconds @returns {Promise<Run>} */
    async measure(subject, seconds) {
      const { tls, flow: flowPort } = PORTS[subject];
      const bytes = hello(NAME).toString("hex");
      const fetch = ["fetch", WAN_GATEWAY, String(flowPort), bytes, String(seconds), String(FLOWS)];
      const program = { portreeve: "haproxy", nginx: "nginx", direct: "" }[subject];
      const idle = cpuSeconds(gateway, program);
      const gbits = (Number(await internet.exec("python3", flow, ...fetch)) * 8) / 1e9;
      const cpuPerGbit = ((cpuSeconds(gateway, program) - idle) * 1e3) / (gbits * seconds);
      const before = cpuSeconds(gateway, program);
      const made = await handshakes(tls, seconds);
      const cpuMicros = ((cpuSeconds(gateway, program) - before) * 1e6) / (made.perSecond * seconds);
      return { gbits, cpuPerGbit, handshakes: made, cpuMicros };
    },
    /** @param {number} count @param {(text: string) => void} progress @returns {Promise<Changes>} */
    async changes(count, progress) {
      const client = drive(internet, "sni-client.mjs");
      const before = await handshakes(PORTS.portreeve.tls, 5);
      const pids = pidsOf(gateway, "haproxy");
      const request = {
        address: WAN_GATEWAY,
        port: PORTS.portreeve.tls,
        name: "pieces.example.net",
        path: "/pieces/endless",
      };
      await client.call("begin", { requests: Array.from({ length: TRANSFERS }, () => request) });
      const during = handshakes(PORTS.portreeve.tls, 5);
      const began = performance.now();
      for (let change = 0; change < count; change += 1) {
        const extra = route(`x${change}.example.org`);
        await settle(haproxy, [...rows.slice(0, 100), extra]);
      }
      const seconds = (performance.now() - began) / 1000;
      progress(`${count} route changes in ${seconds.toFixed(1)} s`);
      await haproxy.end("SIGKILL");
      haproxy = drive(gateway, "haproxy-driver.mjs", [INSTANCE, folder, settings]);
      await haproxy.call("want", { rows });
      await haproxy.call("start");
      await pieces.call("finish");
      /** @type {{ digest: string; octets: number }[]} */
      const finished = await client.call("finish");
      const intact = finished.filter(
        ({ digest, octets }) => octets > 0 && digest === digestOf("one", octets / PIECE_OCTETS),
      ).length;
      const sameProcess = pidsOf(gateway, "haproxy").join() === pids.join();
      await client.end();
      return {
        changes: count,
        perSecond: count / seconds,
        before,
        during: await during,
        transfers: finished.length,
        intact,
        sameProcess,
      };
    },
    async close() {
      await haproxy.call("teardown").catch(() => undefined);
      for (const driven of [haproxy, nftables, pieces]) await driven.end();
      for (const child of running) child.kill("SIGTERM");
    },
  };
}

const TRANSFERS = 100;

/** @param {{ kind: string; address?: string; port?: number; name?: string } & Record<string, unknown>} spec */
function row(spec) {
  const { kind, address, port, name } = spec;
  const key = [kind, address, port, name].filter((part) => part !== undefined).join("|");
  return { key, spec, owners: ["bench"], revision: 1 };
}

/** @param {ReturnType<typeof drive>} haproxy @param {ReturnType<typeof row>[]} rows */
async function settle(haproxy, rows) {
  const seq = await haproxy.call("want", { rows });
  const started = settled.has(haproxy);
  settled.add(haproxy);
  if (!started) return;
  const failed = await haproxy.call("settled", { seq });
  if (Object.keys(failed).length > 0) throw new Error(JSON.stringify(failed));
}

/** Drivers that were given their first rows. */
const settled = new WeakSet();

/** @param {ReturnType<typeof drive>} nftables @param {string} target */
async function applyForwards(nftables, target) {
  const to = (/** @type {number} */ port, /** @type {string} */ toAddress, /** @type {number} */ toPort) => ({
    kind: "forward",
    address: WAN_GATEWAY,
    protocol: "tcp",
    port,
    toAddress,
    toPort,
  });
  const rows = [
    { kind: "skeleton", instanceId: INSTANCE, wans: ["wan0"], lans: ["lan0"], proxied: true },
    to(PORTS.portreeve.tls, WAN_GATEWAY, TLS_PORT),
    to(PORTS.portreeve.flow, WAN_GATEWAY, TLS_PORT),
    to(PORTS.direct.tls, target, PORTS.direct.tls),
    to(PORTS.direct.flow, target, PORTS.direct.flow),
    to(PORTS.nginx.tls, WAN_GATEWAY, NGINX_PORT),
    to(PORTS.nginx.flow, WAN_GATEWAY, NGINX_PORT + 1),
  ];
  const plan = rows.map((spec) => {
    const key = "port" in spec ? `forward|${spec.address}|tcp|${spec.port}` : "skeleton";
    return { op: "create", key, desired: { key, spec, owners: ["bench"], revision: 1 } };
  });
  const outcomes = await nftables.call("apply", { target: "forwards", plan });
  const failed = outcomes.filter((/** @type {{ ok: boolean }} */ outcome) => !outcome.ok);
  if (failed.length > 0) throw new Error(JSON.stringify(failed));
}

/** @param {string} folder */
function makeCertificate(folder) {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const files = ["-keyout", `${folder}/one.key`, "-out", `${folder}/one.crt`];
  execFileSync("openssl", ["req", "-x509", ...key, "-subj", `/CN=${NAME}`, "-days", "3", ...files], {
    stdio: "ignore",
  });
}

/** @param {import("../test/lab/topology.mjs").Host} host @param {string} folder @param {string} name @param {string} config */
function startNginx(host, folder, name, config) {
  const file = join(folder, `${name}.conf`);
  const common = `daemon off; pid ${folder}/${name}.pid; error_log ${folder}/${name}.log; worker_processes 2;`;
  writeFileSync(file, `${common}\n${config}`);
  // In a session of its own, as ours: the kernel shares a busy machine out between sessions (autogroup).
  return host.spawn(["setsid", "--wait", "nginx", "-c", file], { stdio: "ignore" });
}

/** @param {string} folder */
const targetConfig = (folder) => `events { worker_connections 4096; }
http {
  access_log off;
  server {
    listen 443 ssl; listen 444 ssl; listen 445 ssl;
    ssl_certificate ${folder}/one.crt; ssl_certificate_key ${folder}/one.key;
    return 200 "";
  }
}
`;

/** As its documentation has it, with as many names in the map as we have. @param {string} target */
const proxyConfig = (target) => `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events { worker_connections 4096; }
stream {
  access_log off;
  map_hash_max_size 4096; map_hash_bucket_size 128;
  map $ssl_preread_server_name $target {
    ${NAME} ${target};
${Array.from({ length: OTHER_NAMES }, (_, index) => `    n${index}.example.org ${target};`).join("\n")}
  }
  server { listen ${NGINX_PORT}; ssl_preread on; proxy_pass $target:${PORTS.nginx.tls}; }
  server { listen ${NGINX_PORT + 1}; ssl_preread on; proxy_pass $target:${PORTS.nginx.flow}; }
}
`;

/** @param {import("../test/lab/topology.mjs").Host} host @param {string} program */
function pidsOf(host, program) {
  const pids = execFileSync("ip", ["netns", "pids", host.namespace], { encoding: "utf8" }).split("\n").filter(Boolean);
  return pids.filter((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim() === program);
}

/** Of all threads of a program. @param {import("../test/lab/topology.mjs").Host} host @param {string} program */
function cpuSeconds(host, program) {
  let ticks = 0;
  for (const pid of pidsOf(host, program)) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const fields = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ");
      ticks += Number(fields[11]) + Number(fields[12]);
    }
  }
  return ticks / 100;
}

/** @param {Run[]} runs @returns {Run} */
function middle(runs) {
  const of = (/** @type {(run: Run) => number} */ value) => median(runs.map(value));
  return {
    gbits: of(({ gbits }) => gbits),
    cpuPerGbit: of(({ cpuPerGbit }) => cpuPerGbit),
    cpuMicros: of(({ cpuMicros }) => cpuMicros),
    handshakes: {
      perSecond: of(({ handshakes }) => handshakes.perSecond),
      p50: of(({ handshakes }) => handshakes.p50),
      p99: of(({ handshakes }) => handshakes.p99),
      failures: of(({ handshakes }) => handshakes.failures),
    },
  };
}

/**
 * @param {SniResult} result
 * @param {(value: number) => string} n
 */
export function sniRows({ runs, ratios, changes }, n) {
  const { portreeve, direct, nginx } = runs;
  return [
    ["", "Portreeve", "nginx / direct", "to nginx"],
    ["TLS by name, Gbit/s", n(portreeve.gbits), `${n(nginx.gbits)} / ${n(direct.gbits)}`, `${n(ratios.throughput)} ×`],
    ["  CPU of the proxy for a Gbit, ms", n(portreeve.cpuPerGbit), n(nginx.cpuPerGbit), ""],
    [
      "new TLS connections, /s",
      n(portreeve.handshakes.perSecond),
      `${n(nginx.handshakes.perSecond)} / ${n(direct.handshakes.perSecond)}`,
      `${n(ratios.handshakes)} ×`,
    ],
    ["  CPU of the proxy for each, µs", n(portreeve.cpuMicros), n(nginx.cpuMicros), ""],
    [`route changes, /s (${changes.changes} of them)`, n(changes.perSecond), "", ""],
    [
      "  new TLS connections meanwhile: p50 / p99, ms (before)",
      `${n(changes.during.p50)} / ${n(changes.during.p99)}`,
      `${n(changes.before.p50)} / ${n(changes.before.p99)}`,
      "",
    ],
    [
      "  transfers intact after that and a kill -9",
      `${changes.intact} of ${changes.transfers}`,
      "",
      changes.sameProcess ? "same HAProxy" : "another HAProxy",
    ],
  ];
}
