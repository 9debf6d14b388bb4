// Stored events, and LevelDB's files as they are read before LevelDB opens them.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, hex, words } from "./loading.mjs";

const RECORD = words(
  '"seq":1',
  '"at":"2026-02-29T00:00:00.000Z"',
  '"causedBy":1',
  '"v":2',
  '"prevHash":"',
  '"data":{',
  "null",
  "-1",
  "1e99",
  '"type":"mapping.granted"',
  '"type":"mapping.released"',
  '"type":"lease.expired"',
  '"type":"interface.observed"',
  '"type":"controller.started"',
  '"type":"settings.changed"',
  '"type":"block.set"',
  "{}",
  "[]",
  ",",
  '"__proto__":1',
  "\\u0000",
);
const LEVELDB = [
  hex("01"),
  hex("02"),
  hex("03"),
  hex("04"),
  hex("05"),
  hex("06"),
  hex("07"),
  hex("09"),
  hex("ffffffff0f"),
  hex("ffffffffffffffff7f"),
  hex("8080808010"),
  Buffer.from("e!00000000000001"),
  hex("57fb808b247547db"),
  hex("1a"),
  hex("f0"),
  hex("fc"),
];

/** No entries, one restart point. */
const EMPTY_BLOCK = hex("00000000 01000000");
const MAGIC = hex("57fb808b247547db");

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function eventLogTargets(load) {
  return [
    { name: "event-record", dictionary: RECORD, bytesMax: 2048, check: await recordCheck(load) },
    ...(await levelDbTargets(load)),
  ];
}

/** @param {import("./loading.mjs").Load} load */
async function recordCheck(load) {
  /** @type {typeof import("../../../src/events/record.ts")} */
  const { decodeStored, encodeRecord, parseStored } = await load("events/record");
  /** @type {typeof import("../../../src/events/envelope.ts")} */
  const { storedRecordSchema } = await load("events/envelope");
  /** @type {typeof import("../../../src/events/log-fault.ts")} */
  const { LogFault } = await load("events/log-fault");

  /** @param {Buffer} bytes */
  return (bytes) => {
    const text = bytes.toString();
    const json = parsed(text);
    const seq = typeof json?.seq === "number" ? json.seq : 1;
    const stored = decoded(LogFault, () => parseStored(seq, text));
    ok((stored !== undefined) === storedRecordSchema.safeParse(json).success, "the envelope's two checks disagree");
    if (stored === undefined) return false;
    const record = decoded(LogFault, () => decodeStored(stored, "0".repeat(64)));
    if (record === undefined) return false;
    const again = encodeRecord(record, seq, record.prevHash);
    deepStrictEqual(decodeStored(parseStored(seq, again.text), again.record.hash), again.record);
    deepStrictEqual({ ...again.record, hash: record.hash }, record);
    return true;
  };
}

/** @param {string} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
async function levelDbTargets(load) {
  /** @type {typeof import("../../../src/events/leveldb/files/bytes.ts")} */
  const { unsnappy } = await load("events/leveldb/files/bytes");
  /** @type {typeof import("../../../src/events/leveldb/files/wal.ts")} */
  const { fragmentsOf, recordsOf } = await load("events/leveldb/files/wal");
  /** @type {typeof import("../../../src/events/leveldb/files/crc32c.ts")} */
  const { crc32c, masked } = await load("events/leveldb/files/crc32c");
  /** @type {typeof import("../../../src/events/leveldb/files/wal-scan.ts")} */
  const { scanFile } = await load("events/leveldb/files/wal-scan");
  /** @type {typeof import("../../../src/events/leveldb/files/table-scan.ts")} */
  const { firstDamage, tablesOf } = await load("events/leveldb/files/table-scan");
  /** @type {typeof import("../../../src/events/leveldb/files/raw-writes.ts")} */
  const { writesInLog, writesInTable } = await load("events/leveldb/files/raw-writes");

  /** A fragment as LevelDB would have written it: no chance finds a checksum. @param {number} type @param {Buffer} payload */
  const fragment = (type, payload) => {
    const body = Buffer.concat([Buffer.of(type), payload]);
    const head = Buffer.alloc(6);
    head.writeUInt32LE(masked(crc32c(body)), 0);
    head.writeUInt16LE(payload.length, 4);
    return Buffer.concat([head, body]);
  };
  /** @param {number} type @param {Buffer} content */
  const block = (type, content) => {
    const body = Buffer.concat([content, Buffer.of(type)]);
    const tail = Buffer.alloc(4);
    tail.writeUInt32LE(masked(crc32c(body)), 0);
    return Buffer.concat([body, tail]);
  };

  /** @param {Buffer} bytes */
  const snappy = (bytes) => {
    const output = decoded(RangeError, () => unsnappy(bytes));
    // A copy makes 64 octets of 3, and nothing makes more of less.
    ok(output === undefined || output.length <= 22 * bytes.length, "more than snappy can hold");
    return output !== undefined;
  };
  /**
   * The input is pieces, each after a head of two octets: its type and length; 0x80 in the type spoils its checksum.
   * @param {Buffer} bytes
   */
  const walOf = (bytes) => {
    const parts = [];
    for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
      const type = bytes[at] ?? 0;
      const part = fragment(type & 7, bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0)));
      if ((type & 0x80) !== 0) part[0] = (part[0] ?? 0) ^ 1;
      parts.push(part);
    }
    return Buffer.concat(parts);
  };
  /** @param {Buffer} bytes */
  const wal = (bytes) => {
    for (const file of [bytes, walOf(bytes)]) {
      const { damage } = scanFile(file);
      ok(damage === null || (damage.offset >= 0 && damage.offset < file.length), "damage outside the file");
      const records = [...recordsOf(file)];
      const fragments = [...fragmentsOf(file)];
      const payload = fragments.reduce((sum, each) => sum + each.payload.length, 0);
      ok(records.reduce((sum, each) => sum + each.length, 0) <= payload, "more records than fragments");
      // Two readers of one format: where one finds no damage, the other reads to the end.
      if (damage === null) {
        const whole = fragments.filter(({ type }) => type === 1 || type === 4);
        ok(records.length === whole.length, "the readers disagree");
      }
    }
    return scanFile(walOf(bytes)).begun;
  };
  /** @param {Buffer} bytes */
  const manifest = (bytes) => {
    ok(tablesOf(bytes).length * 4 <= bytes.length, "more tables than there is room for");
    return tablesOf(fragment(1, bytes)).length > 0;
  };
  /** Blocks, each with its handle; the last is the index, behind it a meta index without entries. @param {readonly Buffer[]} blocks */
  const tableOf = (blocks) => {
    const all = [...blocks, block(0, EMPTY_BLOCK)];
    const starts = all.map((_, index) => Buffer.concat(all.slice(0, index)).length);
    const [meta, index] = [all.length - 1, all.length - 2];
    const footer = Buffer.alloc(48);
    Buffer.concat([meta, index].map((at) => handleOf(starts[at] ?? 0, all[at] ?? EMPTY_BLOCK))).copy(footer);
    MAGIC.copy(footer, 40);
    return Buffer.concat([...all, footer]);
  };
  /** The input is the content of the index block; its first octet is its type. @param {Buffer} bytes */
  const table = (bytes) => {
    const file = tableOf([block(0, Buffer.from("data")), block((bytes[0] ?? 0) & 1, bytes.subarray(1))]);
    for (const each of [bytes, file]) {
      const damage = firstDamage(each);
      ok(damage === null || (damage >= 0 && damage <= each.length), "damage outside the file");
    }
    return firstDamage(file) === null;
  };
  /** What is read of files that nobody trusts any more: a log's write, and a table's only block of records. @param {Buffer} bytes */
  const salvage = (bytes) => {
    const data = block((bytes[0] ?? 0) & 1, bytes.subarray(1));
    const entry = Buffer.concat([
      hex("00 01"),
      Buffer.of(handleOf(0, data).length),
      hex("7a"),
      handleOf(0, data),
      EMPTY_BLOCK,
    ]);
    const fromTable = [...writesInTable(tableOf([data, block(0, entry)]))];
    const restarts = bytes.length < 5 ? 0 : bytes.readUInt32LE(bytes.length - 4);
    const stored = ((bytes[0] ?? 0) & 1) === 0;
    ok(!stored || 4 * restarts < bytes.length || fromTable.length === 0, "entries where restart points must be");
    const fromLog = [...writesInLog(fragment(1, bytes))];
    for (const writes of [fromTable, fromLog, [...writesInLog(bytes)], [...writesInTable(bytes)]]) {
      for (const { sequence } of writes) ok(sequence >= 0n && sequence < 1n << 65n, "a sequence out of this world");
      ok(writes.length <= 22 * bytes.length, "more writes than there is room for");
    }
    return fromTable.length > 0 || fromLog.length > 0;
  };
  return [
    { name: "leveldb-snappy", dictionary: LEVELDB, bytesMax: 512, check: snappy },
    { name: "leveldb-wal", dictionary: LEVELDB, bytesMax: 2048, check: wal },
    { name: "leveldb-manifest", dictionary: LEVELDB, bytesMax: 512, check: manifest },
    { name: "leveldb-table", dictionary: LEVELDB, bytesMax: 1024, check: table },
    { name: "leveldb-salvage", dictionary: LEVELDB, bytesMax: 1024, check: salvage },
  ];
}

/** @param {number} value */
function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

/** Where a block lies: all but its trailer of five octets. @param {number} start @param {Buffer} block */
const handleOf = (start, block) => Buffer.concat([varint(start), varint(block.length - 5)]);
