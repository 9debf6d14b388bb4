// The DNS codec beside dns-packet, of the same octets, interleaved in one process; and what a signed update costs us.
import dnsPacket from "dns-packet";
import { built } from "../test/lab/programs/driven.mjs";
import { median, medianInterval } from "./statistics.mjs";

/** Of one operation at a time: long enough that the clock says something, short enough that load strikes both. */
const SLICE_MS = 40;
const WARM_SLICES = 8;
const NOW = 1_764_080_000;
const NAME = "www.example.com";

/**
 * @typedef {object} Comparison
 * @property {string} name
 * @property {number} ours a second
 * @property {number | null} theirs null: it cannot do it
 * @property {number | null} ratio median of the pairs' ratios
 * @property {[number, number] | null} interval of the ratio, 95 %
 */

/** @param {number} pairs @param {(text: string) => void} progress @returns {Promise<Comparison[]>} */
export async function measureDnsCodec(pairs, progress) {
  const comparisons = [];
  for (const { name, ours, theirs } of await operations()) {
    progress(name);
    // Both are compiled before either counts.
    for (let slice = 0; slice < WARM_SLICES; slice += 1) {
      perSecond(ours);
      if (theirs !== null) perSecond(theirs);
    }
    const rates = Array.from({ length: pairs }, () => [perSecond(ours), theirs === null ? 0 : perSecond(theirs)]);
    const ratios = theirs === null ? [] : rates.map(([our = 0, their = 1]) => our / their);
    comparisons.push({
      name,
      ours: median(rates.map(([our = 0]) => our)),
      theirs: theirs === null ? null : median(rates.map(([, their = 0]) => their)),
      ratio: theirs === null ? null : median(ratios),
      interval: theirs === null ? null : medianInterval(ratios),
    });
  }
  return comparisons;
}

/** @param {readonly Comparison[]} comparisons @param {(value: number) => string} n */
export function dnsCodecRows(comparisons, n) {
  return [
    ["DNS codec, /s", "Portreeve", "dns-packet", "ratio"],
    ...comparisons.map(({ name, ours, theirs, ratio, interval }) => [
      name,
      n(ours),
      theirs === null ? "" : n(theirs),
      ratio === null ? "" : `${n(ratio)} ×${interval === null ? "" : ` [${interval.map(n).join(", ")}]`}`,
    ]),
  ];
}

/** @param {() => unknown} operation */
function perSecond(operation) {
  const before = performance.now();
  let done = 0;
  let after = before;
  while (after < before + SLICE_MS) {
    for (let index = 0; index < 100; index += 1) operation();
    done += 100;
    after = performance.now();
  }
  return (1000 * done) / (after - before);
}

async function operations() {
  /** @type {typeof import("../src/protocols/dns/decode.ts")} */
  const { decodeMessage } = await built("protocols/dns/decode");
  /** @type {typeof import("../src/protocols/dns/encode.ts")} */
  const { encodeMessage } = await built("protocols/dns/encode");
  const queryBytes = dnsPacket.encode({
    type: "query",
    id: 7,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name: NAME, type: "A" }],
    additionals: [opt],
  });
  const answerBytes = dnsPacket.encode({
    type: "response",
    id: 7,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions: [{ name: NAME, type: "A" }],
    answers: [
      { name: NAME, type: "CNAME", ttl: 60, data: "host.example.com" },
      { name: "host.example.com", type: "A", ttl: 60, data: "192.0.2.1" },
      { name: "host.example.com", type: "A", ttl: 60, data: "192.0.2.2" },
    ],
    additionals: [opt],
  });
  const [query, answer] = [queryBytes, answerBytes].map((bytes) => decodeMessage(bytes).message);
  const [theirQuery, theirAnswer] = [queryBytes, answerBytes].map((bytes) => dnsPacket.decode(bytes));
  if (query === undefined || answer === undefined || theirQuery === undefined || theirAnswer === undefined) return [];
  return [
    {
      name: "decode a query with OPT",
      ours: () => decodeMessage(queryBytes),
      theirs: () => dnsPacket.decode(queryBytes),
    },
    {
      name: "decode an answer: CNAME, 2 A, OPT",
      ours: () => decodeMessage(answerBytes),
      theirs: () => dnsPacket.decode(answerBytes),
    },
    { name: "encode the query", ours: () => encodeMessage(query), theirs: () => dnsPacket.encode(theirQuery) },
    { name: "encode the answer", ours: () => encodeMessage(answer), theirs: () => dnsPacket.encode(theirAnswer) },
    ...(await signedOperations()),
  ];
}

/** @type {dnsPacket.OptAnswer} */
const opt = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** Of an update as StartOS sends it: an RRset goes, an address comes. */
async function signedOperations() {
  /** @type {typeof import("../src/protocols/dns/decode.ts")} */
  const { decodeMessage } = await built("protocols/dns/decode");
  /** @type {typeof import("../src/protocols/dns/encode.ts")} */
  const { encodeMessage } = await built("protocols/dns/encode");
  /** @type {typeof import("../src/protocols/dns/update.ts")} */
  const { readUpdate } = await built("protocols/dns/update");
  /** @type {typeof import("../src/protocols/dns/tsig.ts")} */
  const { signRequest, signResponse, tsigKey, verifyRequest } = await built("protocols/dns/tsig");
  const key = tsigKey(/** @type {never} */ ("\u0004dev1\u0002gw\u0004test\0"), new Uint8Array(32).fill(1));
  const zone = "02 6777 04 74657374 00 0006 0001";
  const changes = "01 61 c00c 0001 00ff 00000000 0000  c019 0001 0001 0000012c 0004 0a3b0702";
  const hex = `1234 2800 0001 0000 0002 0000 ${zone} ${changes}`;
  const signed = signRequest(Buffer.from(hex.replaceAll(" ", ""), "hex"), key, NOW).bytes;
  const verified = () => {
    const { message, tsig } = decodeMessage(signed);
    const verdict = verifyRequest(signed, tsig, () => key, NOW);
    if (verdict.kind !== "verified") throw new Error("what we signed is not verified");
    return { verdict, update: readUpdate(message) };
  };
  const answered = encodeMessage(
    decodeMessage(Buffer.from(`1234 a800 0001 0000 0000 0000 ${zone}`.replaceAll(" ", ""), "hex")).message,
  );
  return [
    { name: "decode, verify and read a signed update", ours: verified, theirs: null },
    {
      name: "  and sign its answer",
      ours: () => signResponse(answered, verified().verdict, NOW),
      theirs: null,
    },
  ];
}
