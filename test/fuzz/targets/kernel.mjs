// What the kernel and libnftables tell: netlink messages of set elements and flows, the JSON of a ruleset.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, hex, words } from "./loading.mjs";

const NETLINK = [
  hex("08000100"),
  hex("0c000100"),
  hex("10000100"),
  hex("10000200"),
  hex("14000100"),
  hex("14000a00"),
  hex("06000200"),
  hex("05000100"),
  hex("08000300"),
  hex("08000400"),
  hex("08000c00"),
  hex("06001200"),
  hex("34000180"),
  hex("1c000280"),
  hex("0c0a0200"),
  hex("00010200"),
  hex("02000000"),
  hex("03000000"),
  hex("06000000"),
  hex("11000000"),
  hex("2c000300"),
  ...["04000100", "04000200", "04000300", "04001200", "05000200", "04000a00"].map(hex), // cut to nothing
];
const JSON_WORDS = words(
  "{",
  "}",
  "[",
  "]",
  ",",
  '"',
  "null",
  "-1",
  "1e999",
  '"metainfo"',
  '"table"',
  '"chain"',
  '"rule"',
  '"set"',
  '"map"',
  '"family":"inet"',
  '"name":"portreeve"',
  '"elem":[]',
  '"concat":[]',
  '"range":[1,2]',
  '"prefix":{"addr":"1.2.3.4","len":8}',
  '"val":',
  '"comment":""',
  '"__proto__":{}',
  '"flags":"interval"',
  '"type":["ipv4_addr"]',
  '"expr":[]',
  '"prio":0',
);

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function kernelTargets(load) {
  return [
    { name: "netlink-elements", dictionary: NETLINK, bytesMax: 2048, check: await elementsCheck(load) },
    { name: "netlink-flows", dictionary: NETLINK, bytesMax: 2048, check: await flowsCheck(load) },
    { name: "nftables-listing", dictionary: JSON_WORDS, bytesMax: 4096, check: await listingCheck(load) },
  ];
}

/** @param {import("./loading.mjs").Load} load */
async function elementsCheck(load) {
  /** @type {typeof import("../../../src/adapters/nftables/netlink-message.ts")} */
  const { attributeText, eachMessage, message } = await load("adapters/nftables/netlink-message");
  /** @type {typeof import("../../../src/adapters/nftables/set-elements.ts")} */
  const { decodeElements, elementRequest } = await load("adapters/nftables/set-elements");
  /** @type {typeof import("../../../src/adapters/nftables/element-columns.ts")} */
  const { FORWARD_SETS, GUARD_SETS } = await load("adapters/nftables/element-columns");
  const layouts = [...FORWARD_SETS, ...GUARD_SETS];

  /** @param {Buffer} bytes @param {number} set */
  const elementsIn = (bytes, set) => {
    /** @type {import("../../../src/adapters/nftables/element-columns.ts").ElementFields[]} */
    const found = [];
    const layout = layouts[set];
    eachMessage(bytes, bytes.length, ({ start, end }) => {
      ok(start <= end && end <= bytes.length, "a message outside its datagram");
      attributeText(bytes, start, end, 1);
      if (layout === undefined) return;
      decodeElements(bytes, start, end, set, layout, (fields) => void (fields !== null && found.push({ ...fields })));
    });
    return found;
  };
  /** @param {Buffer} bytes */
  return (bytes) => {
    let some = false;
    // As it is, and as what one message holds: no chance makes it a length that fits.
    const datagrams = [bytes, message(0, 0, 0, [bytes])];
    for (const [set, layout] of layouts.entries()) {
      const found = datagrams.flatMap((datagram) => elementsIn(datagram, set));
      ok(found.length * 4 <= 2 * bytes.length, "more elements than there is room for");
      some ||= found.length > 0;
      // A request names an element by its key, as the kernel does: what has no data reads back from it whole, but for an
      // interval, which is named by its first port.
      if (layout.data.length > 0 || layout.key.includes("ports")) continue;
      for (const fields of found)
        deepStrictEqual(elementsIn(elementRequest("portreeve", layout, fields), set), [fields]);
    }
    return some;
  };
}

/** @param {import("./loading.mjs").Load} load */
async function flowsCheck(load) {
  /** @type {typeof import("../../../src/adapters/nftables/netlink-message.ts")} */
  const { eachMessage, message } = await load("adapters/nftables/netlink-message");
  /** @type {typeof import("../../../src/adapters/nftables/conntrack-message.ts")} */
  const { decodeFlow, decodeFlowCount, deleteFlowRequest, markFlowRequest } = await load(
    "adapters/nftables/conntrack-message",
  );
  /** @param {Buffer} bytes */
  return (bytes) => {
    let some = false;
    /** @param {Buffer} datagram @param {import("../../../src/adapters/nftables/netlink-message.ts").MessageView} view */
    const look = (datagram, { start, end, errno }) => {
      ok(Number.isInteger(errno));
      decodeFlowCount(datagram, start, end);
      const flow = decodeFlow(datagram, start, end);
      if (flow === null) return;
      some = true;
      ok(deleteFlowRequest(flow).length <= 128 && markFlowRequest(flow, 1).length <= 128, "a request of odd size");
    };
    for (const datagram of [bytes, message(0, 0, 0, [bytes])]) {
      eachMessage(datagram, datagram.length, (view) => look(datagram, view));
    }
    return some;
  };
}

/** @param {import("./loading.mjs").Load} load */
async function listingCheck(load) {
  /** @type {typeof import("../../../src/protocols/nftables-json/listing.ts")} */
  const { decodeListing, memberValues, NftablesJsonError } = await load("protocols/nftables-json/listing");
  /** @type {typeof import("../../../src/protocols/nftables-json/error-code.ts")} */
  const { nftErrorCode, nftErrorLine } = await load("protocols/nftables-json/error-code");
  /** @param {Buffer} bytes */
  return (bytes) => {
    const text = bytes.toString();
    ok(nftErrorCode(text) !== "" && nftErrorLine(text) !== "");
    const objects = decoded(NftablesJsonError, () => decodeListing(text));
    if (objects === undefined) return false;
    for (const each of objects) if (each.kind === "set") memberValues(each.object);
    const nftables = objects.map(({ kind, object }) => ({ [kind]: object }));
    if (objects.some(({ kind }) => kind === "other")) return true;
    // Not undefined where there was nothing: compared as JSON has it.
    deepStrictEqual(JSON.stringify(decodeListing(JSON.stringify({ nftables }))), JSON.stringify(objects));
    return objects.length > 0;
  };
}
