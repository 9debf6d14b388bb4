// A thousand devices in twenty subnets, from one file: how long until the kernel has them, what a look at them costs, and
// what one more costs. Beside it `wg setconf` of as many peers, which decides, logs and keeps nothing.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway } from "../test/lab/gateway.mjs";
import { createTopology } from "../test/lab/topology.mjs";
import { memoryOf } from "./process-memory.mjs";
import { median } from "./statistics.mjs";

const SUBNETS = 20;
export const DEVICES = 1000;
const LOOKS = 5;
const ONE_BY_ONE = 20;
const PEER_INTERFACE = `wb${process.pid.toString(36)}p`;

/**
 * Seconds, but for what says otherwise.
 * @typedef {{ applied: number; converged: number; again: number; planned: number; peer: number; listMs: number; listApiMs: number; statusMs: number; addMs: number; editMs: number; removeMs: number; restart: number; idle: { pssMb: number; rssMb: number }; full: { pssMb: number; rssMb: number } }} DeviceFigures
 */

/** @param {number} rounds @param {(text: string) => void} progress @returns {Promise<DeviceFigures>} */
export async function measureDevices(rounds, progress) {
  /** @type {DeviceFigures[]} */
  const all = [];
  for (let round = 0; round < rounds; round += 1) {
    const figures = await measure();
    all.push(figures);
    progress(
      `${DEVICES} devices: converged ${figures.converged.toFixed(2)} s, wg setconf ${figures.peer.toFixed(2)} s, list ${figures.listMs.toFixed(0)} ms`,
    );
  }
  const of = (/** @type {(each: DeviceFigures) => number} */ pick) => median(all.map(pick));
  const memory = (/** @type {"idle" | "full"} */ when) => ({
    pssMb: of((each) => each[when].pssMb),
    rssMb: of((each) => each[when].rssMb),
  });
  return {
    applied: of((each) => each.applied),
    converged: of((each) => each.converged),
    again: of((each) => each.again),
    planned: of((each) => each.planned),
    peer: of((each) => each.peer),
    listMs: of((each) => each.listMs),
    listApiMs: of((each) => each.listApiMs),
    statusMs: of((each) => each.statusMs),
    addMs: of((each) => each.addMs),
    editMs: of((each) => each.editMs),
    removeMs: of((each) => each.removeMs),
    restart: of((each) => each.restart),
    idle: memory("idle"),
    full: memory("full"),
  };
}

/** @returns {Promise<DeviceFigures>} */
async function measure() {
  const topology = await createTopology();
  const folder = mkdtempSync(join(tmpdir(), "portreeve-bench-"));
  try {
    const peer = await setconf(topology.internet, folder);
    return { peer, ...(await measureOurs(topology.gateway, folder)) };
  } finally {
    await topology.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {import("../test/lab/topology.mjs").Host} host @param {string} folder */
async function measureOurs(host, folder) {
  const tunnel = `wb${process.pid.toString(36)}`;
  const gateway = new Gateway(host, {
    lan: [{ interface: "lan0" }],
    wireguard: { interface: tunnel },
    log: { level: "warn" },
  });
  try {
    await gateway.start();
    const idle = memoryOf(gateway.pid);
    const file = join(folder, "devices.yaml");
    writeFileSync(file, JSON.stringify(declaration())); // JSON is YAML
    const planned = await seconds(() => command(gateway, [10], "plan", "--file", file));
    const started = performance.now();
    const applied = await seconds(() => command(gateway, [0], "apply", "--file", file));
    await untilThere(host, tunnel);
    const converged = (performance.now() - started) / 1000;
    const again = await seconds(() => command(gateway, [0], "apply", "--file", file));
    const listMs = await looks(() => command(gateway, [0], "device", "list"));
    const statusMs = await looks(() => command(gateway, [0], "status"));
    const listApiMs = await looks(() => gateway.get("/api/v1/devices"));
    const names = Array.from({ length: ONE_BY_ONE }, (_, index) => `more-${index}`);
    const each = async (/** @type {(name: string) => Promise<unknown>} */ act) => {
      const times = [];
      for (const name of names) times.push(1000 * (await seconds(() => act(name))));
      return median(times);
    };
    const api = (/** @type {string} */ method, /** @type {string} */ path, /** @type {object | null} */ body) =>
      send(gateway.socket, method, path, body);
    const addMs = await each((name) => api("POST", "/devices", { name, subnet: "net-0" }));
    const editMs = await each((name) => api("PATCH", `/devices/${name}`, { kind: "server" }));
    const removeMs = await each((name) => api("DELETE", `/devices/${name}`, null));
    const full = memoryOf(gateway.pid);
    await gateway.stop();
    const restart = await seconds(() => gateway.start());
    return {
      applied,
      converged,
      again,
      planned,
      listMs,
      listApiMs,
      statusMs,
      addMs,
      editMs,
      removeMs,
      restart,
      idle,
      full,
    };
  } finally {
    await gateway.close();
  }
}

export function declaration() {
  return {
    name: "thousand",
    subnets: Array.from({ length: SUBNETS }, (_, net) => ({ name: `net-${net}`, prefix: `10.80.${net}.0/24` })),
    devices: Array.from({ length: DEVICES }, (_, index) => ({
      name: `device-${index}`,
      kind: index % 2 === 0 ? "server" : "client",
      subnet: `net-${index % SUBNETS}`,
    })),
  };
}

/** The peer: the same kind of keys and addresses, on an interface that is there. @param {import("../test/lab/topology.mjs").Host} host @param {string} folder */
async function setconf(host, folder) {
  const file = join(folder, "peer.conf");
  const privateKey = randomBytes(32).toString("base64");
  const publicKey = () => {
    const { x = "" } = generateKeyPairSync("x25519").publicKey.export({ format: "jwk" });
    return Buffer.from(x, "base64url").toString("base64");
  };
  const peers = Array.from({ length: DEVICES }, (_, index) =>
    [
      "[Peer]",
      `PublicKey = ${publicKey()}`,
      `PresharedKey = ${randomBytes(32).toString("base64")}`,
      `AllowedIPs = 10.80.${index % SUBNETS}.${2 + Math.floor(index / SUBNETS)}/32`,
    ].join("\n"),
  );
  writeFileSync(file, `[Interface]\nPrivateKey = ${privateKey}\nListenPort = 51820\n${peers.join("\n")}\n`, {
    mode: 0o600,
  });
  await host.exec("wireguard-go", PEER_INTERFACE);
  const took = await seconds(() => host.exec("wg", "setconf", PEER_INTERFACE, file));
  await host.exec("ip", "link", "delete", "dev", PEER_INTERFACE);
  return took;
}

/** @param {import("../test/lab/topology.mjs").Host} host @param {string} tunnel */
async function untilThere(host, tunnel) {
  for (;;) {
    const peers = (await host.exec("wg", "show", tunnel, "peers")).trimEnd().split("\n").length;
    const addresses = (await host.exec("ip", "-o", "-4", "address", "show", "dev", tunnel))
      .trimEnd()
      .split("\n").length;
    // The first subnet of every gateway has one as well.
    if (peers === DEVICES && addresses === SUBNETS + 1) return;
  }
}

/** @param {Gateway} gateway @param {readonly number[]} codes @param {string[]} args */
async function command(gateway, codes, ...args) {
  const { code, stderr } = await gateway.cli(...args);
  if (!codes.includes(code)) throw new Error(`portreeve ${args.join(" ")} exited ${code}: ${stderr}`);
}

/** @param {string} socket @param {string} method @param {string} path @param {object | null} body */
async function send(socket, method, path, body) {
  await new Promise((resolve, reject) => {
    const headers = { host: "localhost", ...(body !== null && { "content-type": "application/json" }) };
    const sent = request({ socketPath: socket, method, path: `/api/v1${path}`, headers }, (response) => {
      response.resume();
      response.on("end", () => {
        if ((response.statusCode ?? 500) < 300) resolve(undefined);
        else reject(new Error(`${method} ${path}: ${response.statusCode}`));
      });
    });
    sent.on("error", reject);
    sent.end(body === null ? undefined : JSON.stringify(body));
  });
}

/** @param {() => Promise<unknown>} act */
async function seconds(act) {
  const before = performance.now();
  await act();
  return (performance.now() - before) / 1000;
}

/** Milliseconds, the median. @param {() => Promise<unknown>} act */
async function looks(act) {
  const times = [];
  for (let look = 0; look < LOOKS; look += 1) times.push(1000 * (await seconds(act)));
  return median(times);
}

/** @param {DeviceFigures} figures @param {(value: number) => string} n */
export function deviceRows(figures, n) {
  const { applied, converged, again, planned, peer, idle, full, restart } = figures;
  return [
    ["", "Portreeve", "peer or base", "ratio"],
    [
      `${DEVICES} devices in ${SUBNETS} subnets by \`apply\`, in the kernel, s (peer: wg setconf)`,
      n(converged),
      n(peer),
      `${n(converged / peer)} ×`,
    ],
    ["  the command itself, s (base: its plan)", n(applied), n(planned), ""],
    ["  the same file again, s", n(again), "", ""],
    ["`device list` of all, ms (base: `status`)", n(figures.listMs), n(figures.statusMs), ""],
    ["  by the API, ms", n(figures.listApiMs), "", ""],
    [
      "one more added / edited / removed, ms",
      `${n(figures.addMs)} / ${n(figures.editMs)} / ${n(figures.removeMs)}`,
      "",
      "",
    ],
    ["stop to ready again, s", n(restart), "", ""],
    [
      "memory: PSS (RSS), MB (base: idle)",
      `${n(full.pssMb)} (${n(full.rssMb)})`,
      `${n(idle.pssMb)} (${n(idle.rssMb)})`,
      "",
    ],
  ];
}
