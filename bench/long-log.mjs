// A log as a busy gateway has after a while: each event grants or releases a mapping, 10,000 of them are held at a time.
const EVENTS = 100_000;
const HELD = 10_000;
const BATCH = 500;
const AT = Date.UTC(2026, 0, 1);
/** Between two events: 10,000 mappings that last about an hour. */
const STEP_MS = 200;
const NONCE = "0".repeat(24);
/** @param {string} path */
const built = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { event } = await built("events/index.js");
const { openLevelLog } = await built("events/log-level.js");
const { DEFAULT_SETTINGS } = await built("reducers/state.js");

/** @param {string} dataDir */
export async function writeLongLog(dataDir) {
  const log = await openLevelLog(dataDir);
  /** @param {unknown[]} events */
  const append = (events) => {
    const at = AT + log.head.seq * STEP_MS;
    const envelope = { at, source: "pcp:192.168.80.2", requestId: "pcp-00000000", causedBy: null };
    const records = events.map((each) => ({ ...envelope, event: each }));
    return log.append({ expectedHead: log.head.seq, answers: [], records });
  };
  const wan = { ...DEFAULT_SETTINGS.wan, interfaces: ["wan0"] };
  const settings = { ...DEFAULT_SETTINGS, wan, lan: [{ interface: "lan0", nonce: "strict" }] };
  const addresses = ["11.22.33.1/24"];
  await append([
    event("settings.changed", { settings }),
    event("interface.observed", { name: "wan0", up: true, addresses }),
  ]);
  /** @type {string[]} */
  const held = [];
  let granted = 0;
  for (let written = 0; written < EVENTS; written += BATCH) {
    const events = [];
    for (let index = 0; index < BATCH; index += 1) {
      if (held.length < HELD || index % 2 === 0) {
        events.push(event("mapping.granted", grantOf(granted)));
        held.push(idOf(granted));
        granted += 1;
      } else
        events.push(event("lease.released", { mappingId: held.shift(), claimKey: `pcp:${NONCE}`, reason: "client" }));
    }
    await append(events);
  }
  await log.close();
}

/** @param {number} number */
const idOf = (number) => `m${number.toString(16).padStart(12, "0")}`;

/** Of 4,096 devices, each with both protocols in turn. @param {number} number */
function grantOf(number) {
  const device = `192.168.${80 + ((number >> 8) & 15)}.${number & 255}`;
  const expiresAt = AT + 7200_000;
  const claim = {
    key: `pcp:${NONCE}`,
    source: "pcp",
    device,
    nonce: NONCE,
    clientPort: 40_000,
    lifetime: 7200,
    expiresAt,
  };
  return {
    id: idOf(number),
    wan: "wan0",
    protocol: number & 1 ? "tcp" : "udp",
    externalPort: 1100 + ((number >> 1) % 59_000),
    internalAddress: device,
    internalPort: 1024 + (number >> 12),
    count: 1,
    interface: "lan0",
    label: null,
    enabled: true,
    claim,
  };
}
