// PCP and NAT-PMP: the codecs, and what the server says to a datagram before the controller is asked.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, hex } from "./loading.mjs";

const DICTIONARY = [
  hex("0200"),
  hex("0201"),
  hex("0202"),
  hex("0280"),
  hex("0281"),
  hex("0282"), // version and opcode
  hex("0000 0000 0000 0000 0000 ffff c0a8 4d02"),
  hex("0000 0000 0000 0000 0000 ffff 0000 0000"), // addresses
  hex("0100 0010"),
  hex("0200 0000"),
  hex("0300 0014"),
  hex("8200 0005"),
  hex("e000 0009"),
  hex("e100 0004"), // options
  hex("7f00 0000"),
  hex("0400 0000"),
  hex("ff00 0400"),
  hex("06000000"),
  hex("11000000"),
  hex("0001"),
  hex("0002"),
  hex("0080"),
  hex("0081"),
  hex("0082"),
  hex("ffffffff"), // NAT-PMP
];
const MESSAGE_MAX = 1400;
const REPLY_MAX = 1100; // RFC 6887 §7
const CLIENT = { address: "192.168.77.2", port: 40000, interface: "lan0" };

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function portControlTargets(load) {
  /** @type {typeof import("../../../src/protocols/pcp/request.ts")} */
  const request = await load("protocols/pcp/request");
  /** @type {typeof import("../../../src/protocols/pcp/response.ts")} */
  const response = await load("protocols/pcp/response");
  /** @type {typeof import("../../../src/protocols/pcp/option.ts")} */
  const option = await load("protocols/pcp/option");
  /** @type {typeof import("../../../src/protocols/pcp/error.ts")} */
  const { PcpDecodeError } = await load("protocols/pcp/error");
  const bytesMax = MESSAGE_MAX;
  /** Whose parts compare equal to what a decoder made of plain octets. @param {Buffer} bytes */
  const plain = (bytes) => Uint8Array.from(bytes);

  /** @param {Buffer} bytes */
  const pcpRequest = (bytes) => {
    const message = decoded(PcpDecodeError, () => request.decodeRequest(plain(bytes)));
    if (message === undefined) return false;
    const again = request.encodeRequest(message);
    deepStrictEqual(request.decodeRequest(again), message);
    ok(again.length <= bytes.length, "it grew");
    return true;
  };
  /** @param {Buffer} bytes */
  const pcpResponse = (bytes) => {
    const message = decoded(PcpDecodeError, () => response.decodeResponse(plain(bytes)));
    if (message === undefined) return false;
    const { version, opcode, result, lifetime, epoch, body, options } = message;
    ok(version === 2 || result === 1, "another version without its error");
    if (result !== 0 || body === null) return true;
    deepStrictEqual(response.decodeResponse(response.encodeSuccess({ lifetime, epoch, body, options })), message);
    ok(opcode < 0x80);
    return true;
  };
  /** @param {Buffer} bytes */
  const pcpOptions = (bytes) => {
    const options = decoded(PcpDecodeError, () => option.decodeOptions(plain(bytes), 0));
    if (options === undefined) return false;
    const again = plain(Buffer.concat(options.map(option.encodeOption)));
    ok(again.length <= bytes.length, "it grew");
    deepStrictEqual(option.decodeOptions(again, 0), options);
    return options.length > 0;
  };
  return [
    { name: "pcp-request", dictionary: DICTIONARY, bytesMax, check: pcpRequest },
    { name: "pcp-response", dictionary: DICTIONARY, bytesMax, check: pcpResponse },
    { name: "pcp-options", dictionary: DICTIONARY, bytesMax, check: pcpOptions },
    ...(await natPmpTargets(load)),
    { name: "port-control-answer", dictionary: DICTIONARY, bytesMax, check: await answerCheck(load) },
  ];
}

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
async function natPmpTargets(load) {
  /** @type {typeof import("../../../src/protocols/natpmp/request.ts")} */
  const request = await load("protocols/natpmp/request");
  /** @type {typeof import("../../../src/protocols/natpmp/response.ts")} */
  const response = await load("protocols/natpmp/response");
  /** @type {typeof import("../../../src/protocols/natpmp/error.ts")} */
  const { NatPmpDecodeError } = await load("protocols/natpmp/error");
  const results = /** @type {import("../../../src/protocols/natpmp/response.ts").NatPmpResultName[]} */ (
    Object.keys(response.NATPMP_RESULT)
  );

  /** @param {Buffer} bytes */
  const natPmpRequest = (bytes) => {
    const message = decoded(NatPmpDecodeError, () => request.decodeNatPmpRequest(bytes));
    if (message === undefined) return false;
    deepStrictEqual(request.decodeNatPmpRequest(request.encodeNatPmpRequest(message)), message);
    return true;
  };
  /** @param {Buffer} bytes */
  const natPmpResponse = (bytes) => {
    const message = decoded(NatPmpDecodeError, () => response.decodeNatPmpResponse(bytes));
    if (message === undefined) return false;
    const { result, epoch } = message;
    const name = results[result];
    if (name === undefined || message.kind === "unsupported") return true;
    const again =
      message.kind === "address"
        ? response.encodeNatPmpAddress(name, epoch, message.address)
        : response.encodeNatPmpMap(name, epoch, message);
    deepStrictEqual(response.decodeNatPmpResponse(again), message);
    return true;
  };
  return [
    { name: "natpmp-request", dictionary: DICTIONARY, bytesMax: 64, check: natPmpRequest },
    { name: "natpmp-response", dictionary: DICTIONARY, bytesMax: 64, check: natPmpResponse },
  ];
}

/** Every reply is one that a client's strict decoder takes. @param {import("./loading.mjs").Load} load */
async function answerCheck(load) {
  /** @type {typeof import("../../../src/adapters/pcp-server/answer.ts")} */
  const { answer } = await load("adapters/pcp-server/answer");
  /** @type {typeof import("../../../src/protocols/pcp/response.ts")} */
  const { decodeResponse } = await load("protocols/pcp/response");
  /** @type {typeof import("../../../src/protocols/natpmp/response.ts")} */
  const { decodeNatPmpResponse } = await load("protocols/natpmp/response");

  const standing = {
    ready: true,
    pcp: true,
    natpmp: true,
    externalAddress: "11.22.33.1",
    epoch: 7,
    sniAvailable: true,
    asksForOthers: true,
  };
  /** @type {import("../../../src/reducers/decide/command.ts").Outcome[]} */
  const outcomes = [
    { ok: false, refusal: { code: "QUOTA_EXCEEDED", message: "too many" } },
    {
      ok: true,
      seq: 1,
      changed: true,
      answer: {
        kind: "mapped",
        externalAddress: "11.22.33.1",
        externalPort: 8080,
        lifetime: 120,
        mappingId: "m",
        claimKey: null,
      },
    },
  ];

  /** @param {Buffer} request @param {Uint8Array} reply */
  const checkReply = (request, reply) => {
    ok(reply.length <= REPLY_MAX, "a reply that may be fragmented");
    ok(reply.length <= Math.max(72, request.length + 3), "a reply that amplifies");
    const message = reply[0] === 0 ? decodeNatPmpResponse(reply) : decodeResponse(reply);
    ok(message.epoch === 7 || reply[0] === 0, "a reply without the epoch");
  };
  /** @param {Buffer} bytes */
  return (bytes) => {
    const said = answer({ bytes, ...CLIENT }, standing);
    if (said.kind === "reply") checkReply(bytes, said.reply.bytes);
    if (said.kind === "ask") for (const outcome of outcomes) checkReply(bytes, said.replyTo(outcome, 7).bytes);
    return said.kind === "ask";
  };
}
