// F2: external ports 443 and 80 are shared by TLS names, by what no name is for, and by the redirect to HTTPS, and each of
// them comes and goes; the daemon is killed at named steps of that. HAProxy goes on meanwhile. After the next start the
// state, HAProxy's maps and the kernel have what the operator was told, and the redirect is there exactly while there is
// a name on 443 and nothing on 80.
import { connect } from "node:net";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { WAN_GATEWAY } from "../lab/topology.mjs";
import { environment, slug } from "./failpoints.mjs";
import { different, logBroken, settled } from "./oracle.mjs";
import { mustStart } from "./syscall-kills.mjs";

/** @typedef {import("./lane.mjs").Lane} Lane */
/** @typedef {import("./series.mjs").Series} Series */

/** What an operator asks for, in turn: what is there goes, what is not comes. */
const PLACES = [
  { port: 443, name: "a.example.org", to: 8001 },
  { port: 443, name: null, to: 8443 },
  { port: 443, name: "*.example.org", to: 8002 },
  { port: 80, name: null, to: 8080 },
  { port: 443, name: "b.example.net", to: 8003 },
];
const REQUESTS = 40;
/** The n-th time that it comes to the step. */
const OCCASIONS = [1, 4, 11];
const DIES_WITHIN_MS = 5000;
/** src/adapters/haproxy/config.ts, in the folder that it runs in. */
const SOCKET = "admin/socket";
/** src/lib/proxy-ports.ts */
const [TLS_PORT, REDIRECT_PORT] = [60_443, 60_080];

/** @type {readonly import("./failpoints.mjs").Step[]} */
const STEPS = [
  { name: "decided", module: "reducers/decide/index", of: "decide", when: "after" },
  { name: "appending", module: "events/leveldb/level-log", of: "LevelLog.append", when: "before" },
  { name: "appended", module: "events/leveldb/level-log", of: "LevelLog.append", when: "after" },
  { name: "forwards applying", module: "adapters/nftables/nftables", of: "Nftables.apply", when: "before" },
  { name: "forwards applied", module: "adapters/nftables/nftables", of: "Nftables.apply", when: "after" },
  { name: "names applying", module: "adapters/haproxy/target", of: "MapsTarget.apply", when: "before" },
  { name: "names kept", module: "adapters/haproxy/folder", of: "HaproxyFolder.keep", when: "after" },
  { name: "names applied", module: "adapters/haproxy/target", of: "MapsTarget.apply", when: "after" },
];

/** @returns {Series[]} */
export const sharedPorts = () => STEPS.map(killedAtStep);

/** @param {import("./failpoints.mjs").Step} step @returns {Series} */
const killedAtStep = (step) => ({
  name: `shared/step/${slug(step.name)}`,
  image: "new",
  faults: "F2",
  last: OCCASIONS.length,
  certain: true,
  run: async (lane, library, point) => {
    const nth = /** @type {number} */ (OCCASIONS[point - 1]);
    await mustStart(lane, { env: { ...environment(step, nth), PORTREEVE_TEST_FAILPOINT_ARMED: lane.armedFile } });
    const told = new Told();
    try {
      lane.arm();
      const fired = await ask(lane, told);
      await lane.gateway.kill();
      const { up, line } = await lane.start();
      if (!up || line?.msg !== "ready")
        return {
          fired,
          outcome: "whole",
          faults: [`the daemon does not start: ${lane.gateway.log.slice(-3).join(" ")}`],
        };
      const faults = await settled(() => differs(lane, told));
      const { document } = await lane.http.get("/api/v1/state");
      await lane.gateway.kill();
      return { fired, outcome: "whole", faults: [...faults, ...(await logBroken(lane, library, document))] };
    } finally {
      await endProxy(lane);
    }
  },
});

/** What the operator was told: the witness. */
class Told {
  /** Place → its id. @type {Map<string, string>} */
  there = new Map();
  /** Asked and not answered: it happened or not. @type {string | null} */
  doubt = null;
}

/** @param {{ port: number; name: string | null }} place */
const keyOf = ({ port, name }) => `${port}/${name ?? ""}`;

/** Whether the daemon died on the way. @param {Lane} lane @param {Told} told */
async function ask(lane, told) {
  const { http, client } = lane;
  for (let index = 0; index < REQUESTS; index += 1) {
    const place = /** @type {typeof PLACES[number]} */ (PLACES[(index * 3) % PLACES.length]);
    const [key, kind] = [keyOf(place), place.name === null ? "ports" : "routes"];
    const id = told.there.get(key);
    told.doubt = key;
    const body = {
      ...(place.name === null ? { protocol: "tcp" } : { name: place.name }),
      externalPort: place.port,
      internalAddress: client.address,
      internalPort: place.to,
    };
    const asked = id === undefined ? http.post(`/api/v1/${kind}`, body, {}) : http.delete(`/api/v1/${kind}/${id}`);
    const answer = await asked.catch(() => null);
    if (answer === null) break;
    if (answer.status >= 300) throw new Error(`${key} is answered with ${JSON.stringify(answer.document)}`);
    told.doubt = null;
    if (id === undefined) told.there.set(key, answer.document.port.id);
    else told.there.delete(key);
  }
  if (told.doubt !== null && !(await lane.ends(DIES_WITHIN_MS)))
    throw new Error("the daemon lives, and does not answer");
  return told.doubt !== null;
}

/** @param {Lane} lane @param {Told} told */
async function differs(lane, told) {
  const [ports, routes] = await Promise.all(
    ["ports", "routes"].map(async (kind) => (await lane.http.get(`/api/v1/${kind}`)).document),
  );
  const found = [...ports, ...routes].map((each) => keyOf({ port: each.external.port, name: each.name ?? null }));
  const certain = (/** @type {readonly string[]} */ keys) => keys.filter((key) => key !== told.doubt);
  const faults = different("the operator was told otherwise", certain([...told.there.keys()]), certain(found));
  const places = PLACES.filter((place) => found.includes(keyOf(place)));
  return [...faults, ...(await dataPlaneDiffers(lane, places))];
}

/** @param {Lane} lane @param {readonly (typeof PLACES)[number][]} places */
async function dataPlaneDiffers(lane, places) {
  const { address } = lane.client;
  const named = places.some(({ name }) => name !== null);
  const redirected = named && !places.some(({ port }) => port === 80);
  const led = named ? places.filter(({ port }) => port === 443) : [];
  const routes = led.map(({ name, to }) => `${WAN_GATEWAY}:443/${name ?? ""} ${address}:${to}:keep`);
  const forwarded = places.filter(({ port, name }) => name === null && !(named && port === 443));
  const forwards = [
    ...forwarded.map(({ port, to }) => `tcp ${port} ${address} ${to}`),
    ...(named ? [`tcp 443 ${WAN_GATEWAY} ${TLS_PORT}`] : []),
    ...(redirected ? [`tcp 80 ${WAN_GATEWAY} ${REDIRECT_PORT}`] : []),
  ];
  const [routed, answered] = [await mapOf(lane, "routes"), await mapOf(lane, "redirects")];
  const redirects = answered.map((entry) => entry.split(" ")[0] ?? "");
  return [
    ...different("HAProxy has not what the state wants", routes, routed),
    ...different("HTTP is not redirected as the state wants", redirected ? [WAN_GATEWAY] : [], redirects),
    ...different("the kernel has not what the state wants", forwards, await lane.kernel()),
  ];
}

/** Of the HAProxy that is there, asked past the daemon. @param {Lane} lane @param {"routes" | "redirects"} map */
async function mapOf(lane, map) {
  const listed = await askProxy(lane, `show map /proc/self/fd/3/${map}.map`);
  return listed.split("\n").flatMap((line) => (line.startsWith("0x") ? [line.slice(line.indexOf(" ") + 1)] : []));
}

/** It outlives the daemon, and would have the ports of the next point. @param {Lane} lane */
async function endProxy(lane) {
  const pid = /^Pid: (\d+)$/m.exec(await askProxy(lane, "show info"))?.[1];
  if (pid !== undefined) process.kill(Number(pid), "SIGKILL");
  const gone = await settled(async () => ((await askProxy(lane, "show info")) === "" ? [] : ["HAProxy does not end"]));
  if (gone.length > 0) throw new Error(gone[0]);
  const folder = proxyFolder(lane);
  if (folder !== null) rmSync(folder, { recursive: true });
}

/** @param {Lane} lane */
function proxyFolder({ gateway }) {
  const run = join(gateway.folder, "run");
  const name = existsSync(run) ? readdirSync(run).find((each) => each.startsWith("haproxy-")) : undefined;
  return name === undefined ? null : join(run, name);
}

/** Nothing where there is none. @param {Lane} lane @param {string} command @returns {Promise<string>} */
async function askProxy(lane, command) {
  const folder = proxyFolder(lane);
  if (folder === null) return "";
  return await new Promise((resolve) => {
    let answer = "";
    const socket = connect(join(folder, SOCKET), () => socket.write(`${command}\n`));
    socket.setEncoding("utf8");
    socket.on("data", (text) => (answer += text));
    socket.on("error", () => resolve(""));
    socket.on("close", () => resolve(answer));
  });
}
