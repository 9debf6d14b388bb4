// A log as a busy gateway has after a while: each event grants or releases a mapping, 10,000 of them are held at a time.
const HELD = 10_000;
const AT = Date.UTC(2026, 0, 1);
/** Between two events: 10,000 mappings that last about an hour. */
const STEP_MS = 200;
const NONCE = "0".repeat(24);
/** @param {string} path */
const built = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { event } = await built("events/index.js");
const { openLevelLog } = await built("events/leveldb/level-log.js");
const { openSnapshots } = await built("events/snapshot-store.js");
const { SnapshotKeeper } = await built("controller/snapshot-keeper.js");
const { foldInto } = await built("reducers/fold.js");
const { forkState, sealState } = await built("reducers/fork.js");
const { DEFAULT_SETTINGS, initialState } = await built("reducers/state.js");

/**
 * @param {string} dataDir
 * @param {object} [options]
 * @param {number} [options.events]
 * @param {number} [options.batch] events made durable by one write
 * @param {readonly number[]} [options.snapshots] after so many events, ascending; multiples of `batch`
 * @param {(written: number) => void} [options.progress] told after each batch
 */
export async function writeLongLog(
  dataDir,
  { events = 100_000, batch = 500, snapshots = [], progress = () => {} } = {},
) {
  const log = await openLevelLog(dataDir);
  let state = initialState();
  const keeper = new SnapshotKeeper(openSnapshots(dataDir), log, () => state);
  const due = [...snapshots];
  /** @param {unknown[]} batch */
  const append = async (batch) => {
    const envelope = { source: "pcp:192.168.80.2", requestId: "pcp-00000000", causedBy: null };
    const first = log.head.seq;
    const records = batch.map((each, index) => ({ ...envelope, at: AT + (first + index) * STEP_MS, event: each }));
    const written = await log.append({ expectedHead: first, answers: [], records });
    // A fold is only paid for if a snapshot is wanted.
    if (snapshots.length > 0) for (const record of written) foldInto(state, record);
  };
  const wan = { ...DEFAULT_SETTINGS.wan, interfaces: ["wan0"] };
  const settings = { ...DEFAULT_SETTINGS, wan, lan: [{ interface: "lan0", nonce: "strict", devices: "any" }] };
  const addresses = ["11.22.33.1/24"];
  await append([
    event("settings.changed", { settings }),
    event("interface.observed", { name: "wan0", up: true, addresses, gateway: null }),
  ]);
  let granted = 0;
  let released = 0;
  for (let written = 0; written < events; written += batch) {
    const made = [];
    for (let index = 0; index < batch; index += 1) {
      if (granted - released < HELD || index % 2 === 0) {
        made.push(event("mapping.granted", grantOf(granted, AT + (log.head.seq + index) * STEP_MS)));
        granted += 1;
      } else {
        const mappingId = idOf(released);
        made.push(event("lease.released", { mappingId, claimKey: `pcp:${NONCE}`, reason: "client" }));
        released += 1;
      }
    }
    await append(made);
    if (due[0] === written + batch) {
      sealState(state);
      await keeper.create();
      state = forkState(state);
      due.shift();
    }
    progress(written + batch);
  }
  await log.close();
}

/** @param {number} number */
const idOf = (number) => `m${number.toString(16).padStart(12, "0")}`;

/** Of 4,096 devices, each with both protocols in turn. @param {number} number @param {number} at */
function grantOf(number, at) {
  const device = `192.168.${80 + ((number >> 8) & 15)}.${number & 255}`;
  const expiresAt = at + 7200_000;
  const claim = {
    key: `pcp:${NONCE}`,
    source: "pcp",
    device,
    nonce: NONCE,
    clientPort: 40_000,
    lifetime: 7200,
    expiresAt,
    filters: [],
    description: null,
    enabled: true,
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
    sourceAddress: null,
    from: [],
    name: null,
    claim,
  };
}
