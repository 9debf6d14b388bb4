// F1 F2: a device publishes a thousand changes of names with signed updates, and the daemon is killed at a hundred and more
// places of that: at named steps between the datagram and its answer, in whichever thread, and at no matter what. After the
// next start each name is what its device was told; no serial goes back; and what is sent again, because its answer was
// lost or because it was overheard, is answered as it was and carried out by nobody a second time.
import { setTimeout } from "node:timers/promises";
import { DnsAsker } from "./dns-asker.mjs";
import { environment, slug } from "./failpoints.mjs";
import { different, logBroken } from "./oracle.mjs";
import { mustStart } from "./syscall-kills.mjs";

/** @typedef {import("./lane.mjs").Lane} Lane */
/** @typedef {import("./series.mjs").Series} Series */
/** @typedef {import("./dns-asker.mjs").Change} Change */

const ZONE = "lan0.internal";
const DEVICE = "nas";
const CONFIG = {
  lan: [{ interface: "lan0", dns: true }],
  portControl: { perDevice: { eventBurst: 100_000, eventsPerMinute: 100_000 } },
};
/** Of one life, and what of them is sent between two kills, so that there are more than a hundred. */
const UPDATES = 1000;
const BETWEEN_KILLS = { least: 3, spread: 9 };
const KILLS_LEAST = 100;
/** Of a point that kills at a named step. */
const UPDATES_OF_A_STEP = 100;
const NAMES = 120;
const DIES_WITHIN_MS = 5000;
/** Of what was acknowledged, so many of the last are sent again; an older one may be beyond the fudge, which is BADTIME. */
const REPEATED = 30;
const QUESTIONS_AT_ONCE = 16;
const NOTAUTH = 9;

/** @type {readonly import("./failpoints.mjs").Step[]} */
const STEPS = [
  {
    name: "arrived",
    module: "adapters/dns-server/thread/answers/updates",
    of: "Updates.answer",
    when: "before",
    inThreads: true,
  },
  { name: "heard", module: "adapters/dns-server/update-flow", of: "UpdateFlow.verdictOf", when: "before" },
  { name: "decided", module: "reducers/decide/index", of: "decide", when: "after" },
  { name: "appending", module: "events/leveldb/level-log", of: "LevelLog.append", when: "before" },
  { name: "stored, witness not told", module: "events/leveldb/witness", of: "Witness.write", when: "before" },
  { name: "appended", module: "events/leveldb/level-log", of: "LevelLog.append", when: "after" },
  { name: "published", module: "controller/controller", of: "Controller.submit", when: "after" },
  { name: "names given", module: "adapters/dns-server/target", of: "DnsTarget.apply", when: "after" },
  { name: "verdict reached", module: "adapters/dns-server/update-flow", of: "UpdateFlow.verdictOf", when: "after" },
  {
    name: "verdict heard",
    module: "adapters/dns-server/thread/answers/updates",
    of: "Updates.decided",
    when: "before",
    inThreads: true,
  },
];
/** One thing after the other, or four at once, which share commits. */
const OCCASIONS = [
  { window: 1, nth: 3 },
  { window: 4, nth: 4 },
  { window: 1, nth: 60 },
  { window: 4, nth: 15 },
];

/** @returns {Series[]} */
export function nameUpdates() {
  return [...STEPS.map(killedAtStep), killedAgainAndAgain()];
}

/** @param {import("./failpoints.mjs").Step} step @returns {Series} */
const killedAtStep = (step) => ({
  name: `names/step/${slug(step.name)}`,
  image: "new",
  faults: "F2",
  last: OCCASIONS.length,
  certain: true,
  run: async (lane, library, point) => {
    const { window, nth } = /** @type {typeof OCCASIONS[number]} */ (OCCASIONS[point - 1]);
    lane.configure(CONFIG);
    await mustStart(lane, { env: { ...environment(step, nth), PORTREEVE_TEST_FAILPOINT_ARMED: lane.armedFile } });
    const device = await Publisher.open(lane);
    try {
      lane.arm();
      const fired = await publishes(lane, device, { window, until: UPDATES_OF_A_STEP });
      await lane.gateway.kill();
      return { fired, outcome: "whole", faults: [...(await broken(lane, device)), ...(await end(lane, library))] };
    } finally {
      device.asker.close();
    }
  },
});

/** One point is a whole life with many of them. @returns {Series} */
const killedAgainAndAgain = () => ({
  name: "names/life",
  image: "new",
  faults: "F1",
  last: 1,
  certain: true,
  run: async (lane, library) => {
    lane.configure(CONFIG);
    await mustStart(lane);
    const device = await Publisher.open(lane);
    const faults = [];
    let kills = 0;
    try {
      while (device.next < UPDATES && faults.length === 0) {
        const at = device.next + BETWEEN_KILLS.least + ((kills * 7) % BETWEEN_KILLS.spread);
        /** Somewhere in the milliseconds that an update takes. */
        const laterMs = (kills * 3) % 8;
        /** @type {Promise<void>[]} */
        const kill = [];
        const onSent = (/** @type {number} */ index) => {
          if (index === at) kill.push(setTimeout(laterMs).then(() => lane.gateway.kill()));
        };
        await publishes(lane, device, { window: kills % 2 === 0 ? 1 : 4, until: UPDATES, onSent });
        // It may come when the last of all is answered already.
        if (kill.length === 0) break;
        await Promise.all(kill);
        kills += 1;
        faults.push(...(await broken(lane, device)).map((fault) => `after kill ${kills}: ${fault}`));
      }
      if (kills < KILLS_LEAST && faults.length === 0) faults.push(`it was killed ${kills} times only`);
      return { fired: true, outcome: "whole", faults: [...faults, ...(await end(lane, library))] };
    } finally {
      device.asker.close();
    }
  },
});

/** A device with what it was told: the witness. */
class Publisher {
  /** What each name has, as acknowledged. @type {Map<string, readonly string[]>} */
  names = new Map();
  /** Sent and not answered: it happened or not. @type {Map<string, { before: readonly string[]; after: readonly string[]; message: Buffer }>} */
  doubts = new Map();
  /** @type {Buffer[]} */
  acknowledged = [];
  serial = 0;
  /** Of the changes. */
  next = 0;

  /** @param {DnsAsker} asker */
  constructor(asker) {
    this.asker = asker;
  }

  /** @param {Lane} lane */
  static async open(lane) {
    const [host] = lane.topology.clients;
    if (host === undefined) throw new Error("the topology has no client");
    const body = { name: DEVICE, kind: "server", interface: "lan0", address: host.address };
    const added = await lane.http.post("/api/v1/devices", body, {});
    if (added.status >= 300) throw new Error(JSON.stringify(added.document));
    const { document } = await lane.http.post(`/api/v1/devices/${DEVICE}/dns-key`, null, {});
    const asker = new DnsAsker(host, lane.topology.lanGateway, { ...document, zone: ZONE });
    asker.attend(lane.gateway.child);
    return new Publisher(asker);
  }

  nextChange() {
    const index = this.next;
    this.next += 1;
    const name = `n${index % NAMES}.${ZONE}`;
    const before = this.names.get(name) ?? [];
    const address = `A 10.${index >> 8}.${index & 255}.7`;
    const text = before.find((each) => each.startsWith("TXT "));
    const addition = { changes: [{ add: address }], after: [...before, address] };
    /** @type {readonly { changes: readonly Change[]; after: string[] }[]} */
    const visits = [
      addition,
      {
        changes: [{ clear: "A" }, { add: address }],
        after: [...before.filter((each) => each.startsWith("TXT ")), address],
      },
      { changes: [{ add: `TXT t${index}` }], after: [...before, `TXT t${index}`] },
      // Where an update before was lost there is nothing to remove: each one is to change something.
      text === undefined ? addition : { changes: [{ remove: text }], after: before.filter((each) => each !== text) },
      before.length === 0 ? addition : { changes: [{ clear: "all" }], after: [] },
    ];
    const visit = visits[Math.floor(index / NAMES) % visits.length];
    if (visit === undefined) throw new Error("no such visit");
    return { index, name, before, after: visit.after.sort(), message: this.asker.update(name, visit.changes) };
  }
}

/**
 * Whether the daemon died on the way.
 * @param {Lane} lane @param {Publisher} device
 * @param {{ window: number; until: number; onSent?: (index: number) => void }} options
 */
async function publishes(lane, device, { window, until, onSent }) {
  const { asker } = device;
  let complete = true;
  const one = async () => {
    while (complete && device.next < until) {
      const { index, name, ...change } = device.nextChange();
      device.doubts.set(name, change);
      const answered = asker.send(change.message);
      onSent?.(index);
      const rcode = await answered;
      if (rcode !== null && rcode !== 0) throw new Error(`update ${index} is answered with rcode ${rcode}`);
      if (rcode === 0) {
        device.doubts.delete(name);
        device.names.set(name, change.after);
        device.acknowledged.push(change.message);
      }
      const serial = rcode === null ? null : await asker.serial();
      if (serial === null) complete = false;
      else device.serial = Math.max(device.serial, serial);
    }
  };
  await Promise.all(Array.from({ length: window }, one));
  if (!complete && !(await lane.ends(DIES_WITHIN_MS))) throw new Error("the daemon lives, and does not answer");
  return !complete;
}

/** After the next start, which goes on. @param {Lane} lane @param {Publisher} device @returns {Promise<string[]>} */
async function broken(lane, device) {
  const { asker } = device;
  const { up, line } = await lane.start();
  if (!up || line?.msg !== "ready") return [`the daemon does not start: ${lane.gateway.log.slice(-3).join(" ")}`];
  asker.attend(lane.gateway.child);
  const faults = [];
  const serial = await asker.serial();
  if (serial === null || serial < device.serial) faults.push(`the serial was ${device.serial}, is ${serial}`);
  faults.push(...(await namesDiffer(device)));
  faults.push(...(await retransmitted(lane, device)), ...(await repeated(lane, device)));
  return [...faults, ...(await namesDiffer(device)), ...(await goesOn(device))];
}

/** @param {Lane} lane @param {import("./oracle.mjs").Library} library */
async function end(lane, library) {
  if (!lane.gateway.running) return [];
  const { document } = await lane.http.get("/api/v1/state");
  await lane.gateway.kill();
  return await logBroken(lane, library, document);
}

/** @param {Publisher} device */
async function namesDiffer({ asker, names, doubts }) {
  const faults = [];
  const certain = [...names].filter(([name]) => !doubts.has(name));
  for (let first = 0; first < certain.length; first += QUESTIONS_AT_ONCE) {
    const some = certain.slice(first, first + QUESTIONS_AT_ONCE);
    const found = await Promise.all(some.map(([name]) => asker.records(name)));
    faults.push(...some.flatMap(([name, expected], index) => different(name, expected, found[index] ?? [])));
  }
  for (const [name, { before, after }] of doubts) {
    const served = await asker.records(name);
    if (different("", before, served).length > 0) faults.push(...different(name, after, served));
  }
  return faults;
}

/** What was not answered is sent again by its device, the same octets. @param {Lane} lane @param {Publisher} device */
async function retransmitted(lane, device) {
  const faults = [];
  for (const [name, { before, after, message }] of device.doubts) {
    const happened = different("", after, await device.asker.records(name)).length === 0;
    const revision = await revisionOf(lane);
    const rcode = await device.asker.send(message);
    // What nobody knows of may be a repetition of what was refused: then it is BADTIME, and nothing happens.
    const allowed = happened ? [0] : [0, NOTAUTH];
    if (rcode === null || !allowed.includes(rcode))
      faults.push(`${name}: what ${happened ? "happened" : "did not happen"} is answered with rcode ${rcode}`);
    if (happened && (await revisionOf(lane)) !== revision) faults.push(`${name}: what happened is carried out again`);
    device.names.set(name, happened || rcode === 0 ? after : before);
  }
  device.doubts.clear();
  return faults;
}

/** What was acknowledged is overheard, and sent again by somebody else. @param {Lane} lane @param {Publisher} device */
async function repeated(lane, { asker, acknowledged }) {
  const faults = [];
  const revision = await revisionOf(lane);
  for (const message of acknowledged.slice(-REPEATED)) {
    const rcode = await asker.send(message);
    if (rcode !== 0) faults.push(`what was acknowledged is now answered with rcode ${rcode}`);
  }
  const now = await revisionOf(lane);
  return now === revision ? faults : [...faults, `repetitions changed names: ${revision}, now ${now}`];
}

/** A new update, by a clock that is past the last change. @param {Publisher} device */
async function goesOn(device) {
  const { asker, serial: before } = device;
  const name = `after.${ZONE}`;
  const address = `A 10.9.${device.next >> 8}.${device.next & 255}`;
  const rcode = await asker.send(asker.update(name, [{ clear: "A" }, { add: address }], 2));
  device.serial = (await asker.serial()) ?? 0;
  return [
    ...(rcode === 0 ? [] : [`a new update is answered with rcode ${rcode}`]),
    ...different(name, [address], await asker.records(name)),
    ...(device.serial > before ? [] : [`a new update leaves the serial at ${device.serial}, it was ${before}`]),
  ];
}

/** Of names: it rises with each change of them. @param {Lane} lane */
async function revisionOf({ http }) {
  return (await http.get("/api/v1/state")).document.state.dnsRevision;
}
