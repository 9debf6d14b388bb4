// DNS as the forwarder reads it: where the parts of a message are, and what is kept of an upstream's answer.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, hex } from "./loading.mjs";

const DICTIONARY = [
  hex("c00c"), // pointer to the question's name
  hex("0001"),
  hex("0001 0001"),
  hex("0005 0001"),
  hex("0006 0001"),
  hex("001c 0001"),
  hex("0027 0001"),
  hex("002e 0001"),
  hex("0041 0001"), // types in class IN
  hex("00 0029 04d0 0000 0000 0000"), // OPT
  hex("00 0029 04d0 0000 8000 0000"),
  hex("000f 0006 0016 6e6f"), // an extended error
  hex("0000 012c 0004 5db8 d822"), // TTL, length, address
  hex("80000001"),
  hex("c0ff"),
  hex("3f"),
  hex("8180"),
  hex("8583"),
  hex("0004 0004 c0a8 0101"), // ipv4hint
];
const BYTES_MAX = 2048;
const STEPS_PER_OCTET = 64;
/** "www.example.com", A, IN. */
const QUESTION = hex("03777777 076578616d706c65 03636f6d 00 0001 0001");

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function dnsForwarderTargets(load) {
  /** @type {typeof import("../../../src/protocols/dns/skim.ts")} */
  const { skimMessage, skimQuery, nameKeyAt } = await load("protocols/dns/skim");
  /** @type {typeof import("../../../src/protocols/dns/decode.ts")} */
  const { decodeMessage } = await load("protocols/dns/decode");
  /** @type {typeof import("../../../src/protocols/dns/error.ts")} */
  const { DnsDecodeError } = await load("protocols/dns/error");
  /** @type {typeof import("../../../src/adapters/dns-server/thread/forwarder/digest.ts")} */
  const { digest } = await load("adapters/dns-server/thread/forwarder/digest");
  /** @type {typeof import("../../../src/adapters/dns-server/thread/forwarder/reply.ts")} */
  const { replyWith, octetsMax } = await load("adapters/dns-server/thread/forwarder/reply");

  /** @param {Buffer} bytes */
  const skim = (bytes) => {
    const found = skimMessage(bytes);
    const query = skimQuery(bytes);
    if (query !== null) {
      ok(found !== null, "a query that is no message");
      deepStrictEqual([query.type, query.class, query.questionEnd], [found.type, found.class, found.questionEnd]);
      deepStrictEqual(query.edns, found.edns);
    }
    if (found === null) return false;
    ok(found.steps <= STEPS_PER_OCTET * bytes.length, `${found.steps} steps for ${bytes.length} octets`);
    for (const record of found.records) ok(nameKeyAt(bytes, record.nameAt).length <= 255, "a name that is too long");
    const message = decoded(DnsDecodeError, () => decodeMessage(Uint8Array.from(bytes)))?.message;
    if (message === undefined || message.questions.length > 1) return true;
    const records = [...message.answers, ...message.authorities, ...message.additionals];
    const names = found.records.filter(({ type }) => type !== 250).map(({ nameAt }) => nameKeyAt(bytes, nameAt));
    deepStrictEqual(
      names,
      records.map(({ name }) => name.key),
      "other names than the codec's",
    );
    return true;
  };

  /** @param {Buffer} bytes */
  const answer = (bytes) => {
    const message = Buffer.concat([hex("1234 8180 0001"), bytes.subarray(0, 6), QUESTION, bytes.subarray(6)]);
    const found = skimMessage(message);
    if (found === null) return false;
    const question = {
      octets: QUESTION,
      type: 1,
      recursionDesired: true,
      checkingDisabled: false,
      dnssecOk: (bytes[0] ?? 0) > 0,
      sent: [],
    };
    const made = digest({ bytes: message, skim: found, protectedPath: true, ageSeconds: 0 }, question);
    if (made.kind !== "answer") return true;
    const { body, ttl } = made.answer;
    ok(ttl >= 0 && ttl <= 86_400, `TTL ${ttl}`);
    ok(body.length <= message.length * 2, "it grew");
    const query = Buffer.concat([hex("4321 0100 0001 0000 0000 0001"), QUESTION, hex("00 0029 0200 0000 0000 0000")]);
    const asked = /** @type {const} */ ({ query, skim: skimQuery(query), transport: "udp" });
    if (asked.skim === null) throw new Error("the query of the test is none");
    const reply = replyWith(made.answer, { ...asked, skim: asked.skim }, { age: 1, ttl: null, error: null });
    const read = skimMessage(reply);
    ok(read !== null, "a reply that is no message");
    ok(reply.length <= octetsMax({ ...asked, skim: asked.skim }), "a reply that the client does not take");
    deepStrictEqual([read.id, read.type, read.edns !== null], [0x4321, 1, true]);
    return true;
  };
  return [
    { name: "dns-skim", dictionary: DICTIONARY, bytesMax: BYTES_MAX, check: skim },
    { name: "dns-upstream-answer", dictionary: DICTIONARY, bytesMax: BYTES_MAX, check: answer },
  ];
}
