// The DNS codec: messages, updates, signatures, and values as text.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, hex, words } from "./loading.mjs";

const DICTIONARY = [
  hex("0001 0001"),
  hex("0000 0100 0001 0000 0000 0001"),
  hex("0000 2800 0001 0000 0001 0001"), // headers
  hex("c00c"),
  hex("c010"),
  hex("c0ff"),
  hex("ffff"), // pointers
  hex("00 0001 0001 0000003c 0004 0a000001"),
  hex("00 0001 00ff 00000000 0000"),
  hex("00 00ff 00fe 00000000 0000"),
  hex("00 0010 0001 0000003c 0002 0161"),
  hex("00 0005 0001 0000003c 0002 c00c"),
  hex("00 0006 0001 0000003c 0018 c00c c00c"),
  hex("00 000f 0001 0000003c 0004 000a c00c"),
  hex("00 0021 0001 0000003c 0008 000000000050 c00c"),
  hex("00 0023 0001 0000003c 0009 00010001 00 00 00 c00c"),
  hex("00 0041 0001 0000003c 000c 0001 00 0003 0002 01bb 0004 0000"),
  hex("00 0101 0001 0000003c 0009 00 05 6973737565 6361"),
  hex("00 0029 04d0 00008000 0000"),
  hex("00 0029 04d0 00000000 0008 0002 0004 00000e10"), // records
  hex("0b 686d61632d736861323536 00"),
  hex("00fa 00ff 00000000"), // TSIG
];
const UDP_OCTETS = 4096;
const STEPS_PER_OCTET_MAX = 64;
const NOW = 1_764_080_000;
const VALUE_WORDS = words(
  "A\n",
  "MX\n",
  "TXT\n",
  "HTTPS\n",
  "SOA\n",
  "TYPE65280\n",
  '"',
  "\\",
  "\\000",
  "\\# 2 00ff",
  "=",
  "key1=",
  "mandatory=",
  "alpn=",
  "port=",
  "ipv4hint=",
  "ipv6hint=",
  "ech=",
  ",",
  ".",
  " ",
);

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function dnsTargets(load) {
  /** @type {typeof import("../../../src/protocols/dns/decode.ts")} */
  const { Decoder, decodeMessage } = await load("protocols/dns/decode");
  /** @type {typeof import("../../../src/protocols/dns/error.ts")} */
  const { DnsDecodeError } = await load("protocols/dns/error");
  /** @type {typeof import("../../../src/protocols/dns/encode.ts")} */
  const { encodeMessage } = await load("protocols/dns/encode");
  /** @type {typeof import("../../../src/protocols/dns/rdata/index.ts")} */
  const rdata = await load("protocols/dns/rdata/index");
  /** @type {typeof import("../../../src/protocols/dns/update.ts")} */
  const { DnsUpdateError, readUpdate } = await load("protocols/dns/update");
  /** @type {typeof import("../../../src/protocols/dns/constants.ts")} */
  const { typeNumber } = await load("protocols/dns/constants");
  /** @type {typeof import("../../../src/lib/domain-name.ts")} */
  const { nameText } = await load("lib/domain-name");

  /** @param {Buffer} bytes */
  const message = (bytes) => {
    const decoder = new Decoder(bytes);
    const open = decoded(DnsDecodeError, () => decoder.message());
    ok(decoder.reader.steps <= STEPS_PER_OCTET_MAX * bytes.length, "beyond the budget of steps");
    if (open === undefined) return false;
    deepStrictEqual(decodeMessage(encodeMessage(open.message)).message, open.message);
    ok(encodeMessage(open.message, { limit: UDP_OCTETS, room: 0 }).length <= UDP_OCTETS, "beyond the limit");
    return true;
  };
  /** @param {Buffer} bytes */
  const update = (bytes) => {
    const open = decoded(DnsDecodeError, () => decodeMessage(bytes));
    const asked = open && decoded(DnsUpdateError, () => readUpdate(open.message));
    if (asked === undefined) return false;
    for (const each of [...asked.prerequisites, ...asked.changes]) {
      ok(nameText(each.name) === each.name, "a name that is not canonical");
      const values = "values" in each ? each.values : "value" in each ? [each.value] : [];
      for (const value of "type" in each ? values : []) canonical("type" in each ? each.type : "", value);
    }
    return true;
  };
  /** The text gives the same text. @param {string} typeText @param {string} value */
  const canonical = (typeText, value) => {
    const type = typeNumber(typeText) ?? 0;
    ok(rdata.rdataText(type, rdata.rdataFromText(type, value)) === value, "a value that is not canonical");
  };
  /** @param {Buffer} bytes */
  const value = (bytes) => {
    const [typeText = "", ...rest] = bytes.toString("utf8").split("\n");
    const type = typeNumber(typeText);
    if (type === null) return false;
    const data = decoded(rdata.RdataTextError, () => rdata.rdataFromText(type, rest.join("\n")));
    if (data === undefined) return false;
    canonical(typeText, rdata.rdataText(type, data));
    return true;
  };
  return [
    { name: "dns-message", dictionary: DICTIONARY, bytesMax: UDP_OCTETS, check: message },
    { name: "dns-update", dictionary: DICTIONARY, bytesMax: 1400, check: update },
    { name: "dns-tsig", dictionary: DICTIONARY, bytesMax: 1400, check: await signatureCheck(load) },
    { name: "dns-value", dictionary: VALUE_WORDS, bytesMax: 1024, check: value },
  ];
}

/** Whatever the verdict, there is an answer to it that a client can read. @param {import("./loading.mjs").Load} load */
async function signatureCheck(load) {
  /** @type {typeof import("../../../src/protocols/dns/decode.ts")} */
  const { decodeMessage } = await load("protocols/dns/decode");
  /** @type {typeof import("../../../src/protocols/dns/error.ts")} */
  const { DnsDecodeError } = await load("protocols/dns/error");
  /** @type {typeof import("../../../src/protocols/dns/tsig.ts")} */
  const tsig = await load("protocols/dns/tsig");
  /** @type {typeof import("../../../src/protocols/dns/tsig-key.ts")} */
  const { UPDATE_KEY_NAME } = await load("protocols/dns/tsig-key");
  const key = tsig.tsigKey(UPDATE_KEY_NAME.key, new Uint8Array(32).fill(1));
  const answer = hex("1234 a809 0000 0000 0000 0000");

  /** @param {Buffer} bytes */
  return (bytes) => {
    const open = decoded(DnsDecodeError, () => decodeMessage(bytes));
    if (open === undefined) return false;
    const before = bytes.toString("hex");
    const verdict = tsig.verifyRequest(bytes, open.tsig, (name) => (name === key.name ? key : null), NOW);
    ok(bytes.toString("hex") === before, "verifying changed the message");
    if (verdict.kind === "unsigned") {
      const ours = tsig.signRequest(bytes, key, NOW);
      const again = tsig.verifyRequest(ours.bytes, decodeMessage(ours.bytes).tsig, () => key, NOW);
      ok(again.kind === "verified", "what we signed is not verified");
    } else if (verdict.kind === "verified") {
      const signed = tsig.signResponse(answer, verdict, NOW);
      ok(tsig.verifyResponse(signed, decodeMessage(signed).tsig, verdict, NOW).kind === "verified");
    } else {
      const signed = tsig.signFailure(answer, verdict, NOW);
      const { tsig: record } = decodeMessage(signed);
      ok((record === null) === (verdict.error === "FORMERR"), "an answer without its TSIG record");
      ok(record === null || record.mac.length > 0 === (verdict.key !== null), "signed for whom it should not be");
      ok(signed.length <= bytes.length + 64, "an answer that amplifies");
    }
    return true;
  };
}
