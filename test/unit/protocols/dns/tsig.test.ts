import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { NameKey } from "../../../../src/lib/domain-name.ts";
import { CLASS, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { DnsDecodeError } from "../../../../src/protocols/dns/error.ts";
import type { TsigRecord } from "../../../../src/protocols/dns/message.ts";
import {
  type Failed,
  signFailure,
  signRequest,
  signResponse,
  type TsigKey,
  tsigKey,
  tsigOctets,
  type Verification,
  type Verified,
  verifyRequest,
  verifyResponse,
} from "../../../../src/protocols/dns/tsig.ts";
import { concat, hex, patch, toHex } from "../hex.ts";
import { message, name, question, record, u16, UPDATE, wire } from "./octets.ts";

const NOW = 1_764_080_000;
const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index + 1);
const KEY = tsigKey(name("dev1.gw.test").key, SECRET);
const OTHER = tsigKey(name("dev1.gw.test").key, new Uint8Array(32).fill(9));
const lookup = (key: NameKey): TsigKey | null => (key === KEY.name ? KEY : null);

const UNSIGNED = message({
  flags: UPDATE,
  sections: [
    [question("gw.test", TYPE.SOA)],
    [],
    [record({ owner: "A.gw.test", type: TYPE.A, data: hex("0a000001") })],
  ],
});

const u48 = (value: number): Uint8Array =>
  concat(u16(Math.floor(value / 2 ** 32)), u16(Math.floor(value / 65536), value % 65536));

interface Signing {
  readonly owner?: string;
  readonly algorithm?: string;
  readonly time?: number;
  readonly fudge?: number;
  readonly ttl?: number;
  readonly mac?: (mac: Uint8Array) => Uint8Array;
  readonly originalId?: number;
  readonly error?: number;
  readonly other?: Uint8Array;
  readonly before?: Uint8Array;
  readonly more?: readonly Uint8Array[];
}

/** RFC 8945 §4.3 once more, of octets and with another HMAC. */
function signed(options: Signing = {}, base = UNSIGNED): Uint8Array {
  const { owner = "dev1.gw.test", algorithm = "hmac-sha256", time = NOW, fudge = 300, ttl = 0 } = options;
  const { originalId = 0x1234, error = 0, other = new Uint8Array(), mac: change = (mac: Uint8Array) => mac } = options;
  const [timers, end] = [concat(u48(time), u16(fudge)), concat(u16(error, other.length), other)];
  const variables = concat(wire(owner.toLowerCase()), u16(255, 0, 0), wire(algorithm.toLowerCase()), timers, end);
  const input = concat(options.before ?? new Uint8Array(), u16(originalId), base.subarray(2), variables);
  const mac = change(Uint8Array.from(createHmac("sha256", SECRET).update(input).digest()));
  const data = concat(wire(algorithm), timers, u16(mac.length), mac, u16(originalId), end);
  const tsig = record({ owner, type: TYPE.TSIG, class: CLASS.ANY, ttl, data });
  return concat(patch(base, 10, toHex(u16(1 + (options.more?.length ?? 0)))), tsig, ...(options.more ?? []));
}

const request = (bytes: Uint8Array, now = NOW): Verification =>
  verifyRequest(bytes, decodeMessage(bytes).tsig, lookup, now);
const verified = (): Verified => request(signed()) as Verified;
const ANSWER = message({ flags: 0x8000 | UPDATE, sections: [[question("gw.test", TYPE.SOA)]] });
const REFUSAL = message({ flags: 0x8000 | UPDATE | 9, sections: [[question("gw.test", TYPE.SOA)]] });

function refusal(failed: Failed, now = NOW): TsigRecord | null {
  return decodeMessage(signFailure(REFUSAL, failed, now)).tsig;
}

describe("a signed request", () => {
  it("[dns T2 T3 T5] is verified over the octets as they came", () => {
    expect(request(signed())).toMatchObject({ kind: "verified", key: KEY, timeSigned: NOW, fudge: 300 });
    expect(request(signed({ owner: "DEV1.GW.test", algorithm: "HMAC-Sha256" })).kind).toBe("verified");
  });

  it("[dns T3] is what we sign ourselves, octet for octet", () => {
    const ours = signRequest(UNSIGNED, KEY, NOW);
    expect(toHex(ours.bytes)).toBe(toHex(signed()));
    expect(ours.bytes.length - UNSIGNED.length).toBe(tsigOctets(KEY.name));
  });

  it("[dns T5] is not changed by being verified, a Buffer neither", () => {
    const bytes = Buffer.from(patch(signed(), 0, "ffff"));
    const before = bytes.toString("hex");
    expect(request(bytes).kind).toBe("verified");
    expect(bytes.toString("hex")).toBe(before);
  });

  it("[dns T25] is unsigned only if there is no signature", () => {
    expect(request(UNSIGNED)).toEqual({ kind: "unsigned" });
  });

  it.each([
    ["two of them", [signed().subarray(UNSIGNED.length)]],
    ["an OPT record after it", [record({ owner: ".", type: TYPE.OPT, class: 1232 })]],
  ])("[dns T1] is malformed with %s", (_, more) => {
    expect(() => decodeMessage(signed({ more }))).toThrow(DnsDecodeError);
  });

  it.each([
    ["class IN", { class: 1 }],
    ["octets after its data", { data: hex("00") }],
  ])("[dns T1] is malformed with %s", (_, wrong) => {
    const data = decodeMessage(signed()).tsig as TsigRecord;
    const rdata = signed().subarray(data.offset + KEY.name.length + 10);
    const tsig = record({
      owner: "dev1.gw.test",
      type: TYPE.TSIG,
      class: 255,
      data: rdata,
      ...("class" in wrong ? wrong : { data: concat(rdata, wrong.data) }),
    });
    expect(() => decodeMessage(concat(patch(UNSIGNED, 10, "0001"), tsig))).toThrow(DnsDecodeError);
  });

  it("[dns T1] is found behind RDATA that is wrong, so that the FORMERR can be signed", () => {
    const base = message({
      flags: UPDATE,
      sections: [[question("gw.test", TYPE.SOA)], [], [record({ type: TYPE.A, data: hex("0a00") })]],
    });
    const bytes = signed({}, base);
    try {
      decodeMessage(bytes);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(DnsDecodeError);
      expect(verifyRequest(bytes, (error as DnsDecodeError).tsig, lookup, NOW).kind).toBe("verified");
    }
  });

  it("[dns T7] may have been given another ID on its way, and not another one when it was signed", () => {
    expect(request(patch(signed(), 0, "ffff")).kind).toBe("verified");
    const wrong = signed();
    expect(request(patch(wrong, wrong.length - 6, "ffff"))).toMatchObject({ kind: "failed", error: "BADSIG" });
  });

  it("[dns T17] may say anything as its error and other data, under its signature", () => {
    expect(request(signed({ error: 17, other: hex("aabb") })).kind).toBe("verified");
  });

  it("[dns T8 T23] by a name that nobody has is BADKEY, unsigned, and no HMAC is made for it", () => {
    const failed = request(signed({ owner: "dev2.gw.test" })) as Failed;
    expect(failed).toMatchObject({ kind: "failed", error: "BADKEY", key: null });
    expect(failed.reason).toMatch(/no key of the name dev2\.gw\.test/);
    expect(refusal(failed)).toMatchObject({
      error: 17,
      mac: hex(""),
      otherData: hex(""),
      keyName: name("dev2.gw.test"),
    });
    const never: TsigKey = { name: KEY.name, mac: () => expect.unreachable() };
    const bytes = signed({ algorithm: "hmac-md5.sig-alg.reg.int" });
    expect(verifyRequest(bytes, decodeMessage(bytes).tsig, () => never, NOW)).toMatchObject({ error: "BADKEY" });
  });

  it.each(["hmac-md5.sig-alg.reg.int", "hmac-sha1", "hmac-sha512", "gss-tsig"])(
    "[dns T8 T22] with %s is BADKEY, and the log says which algorithm came",
    (algorithm) => {
      const failed = request(signed({ algorithm })) as Failed;
      expect(failed).toMatchObject({ error: "BADKEY", key: null });
      expect(failed.reason).toContain(`not with ${algorithm}`);
      expect(refusal(failed)).toMatchObject({ error: 17, mac: hex(""), algorithm: name(algorithm) });
    },
  );

  it("[dns T9] with a wrong MAC is BADSIG, unsigned, wherever it is wrong", () => {
    for (const at of [0, 15, 31]) {
      const failed = request(
        signed({ mac: (mac) => patch(mac, at, toHex(Uint8Array.of((mac[at] as number) ^ 1))) }),
      ) as Failed;
      expect(failed).toMatchObject({ error: "BADSIG", key: null });
      expect(refusal(failed)).toMatchObject({
        error: 16,
        mac: hex(""),
        otherData: hex(""),
        keyName: name("dev1.gw.test"),
      });
    }
    const changed = signed();
    const address = UNSIGNED.length - 1;
    expect(request(patch(changed, address, "02"))).toMatchObject({ error: "BADSIG" });
  });

  it.each([
    [300, "verified"],
    [-300, "verified"],
    [301, "failed"],
    [-301, "failed"],
  ])("[dns T10 T18] %i s off is %s", (off, kind) => expect(request(signed({ time: NOW + off })).kind).toBe(kind));

  it("[dns T10] out of time is BADTIME, signed over its MAC, in the client's time, with ours", () => {
    const bytes = signed({ time: NOW - 1000, fudge: 200 });
    const failed = request(bytes) as Failed;
    expect(failed).toMatchObject({ error: "BADTIME", key: KEY });
    expect(failed.reason).toContain("1000 s behind");
    const answer = signFailure(REFUSAL, failed, NOW);
    expect(refusal(failed)).toMatchObject({ error: 18, timeSigned: NOW - 1000, fudge: 200, otherData: u48(NOW) });
    const mac = decodeMessage(bytes).tsig?.mac ?? hex("");
    expect(verifyResponse(answer, decodeMessage(answer).tsig, { key: KEY, mac }, NOW - 1000).kind).toBe("verified");
  });

  it("[dns T10] out of time with a wrong MAC is BADSIG: nobody learns our time who has no key", () => {
    expect(request(signed({ time: 0, mac: (mac) => patch(mac, 0, "00000000") }))).toMatchObject({ error: "BADSIG" });
  });

  it("[dns T11 T20] cut to half and more is BADTRUNC, signed", () => {
    for (const length of [16, 31]) {
      const bytes = signed({ mac: (mac) => mac.slice(0, length) });
      const failed = request(bytes) as Failed;
      expect(failed).toMatchObject({ error: "BADTRUNC", key: KEY });
      const answer = signFailure(REFUSAL, failed, NOW);
      const { tsig } = decodeMessage(answer);
      expect(tsig).toMatchObject({ error: 22, otherData: hex("") });
      const mac = decodeMessage(bytes).tsig?.mac ?? hex("");
      expect(verifyResponse(answer, tsig, { key: KEY, mac }, NOW).kind).toBe("verified");
    }
  });

  it("[dns T12 T13] of a length that no MAC has is FORMERR, but BADSIG if there is none", () => {
    for (const length of [1, 9, 10, 15]) {
      const failed = request(signed({ mac: (mac) => mac.slice(0, length) })) as Failed;
      expect(failed).toMatchObject({ error: "FORMERR", key: null });
      expect(signFailure(REFUSAL, failed, NOW)).toBe(REFUSAL);
    }
    expect(request(signed({ mac: (mac) => concat(mac, hex("00")) }))).toMatchObject({ error: "FORMERR" });
    expect(request(signed({ mac: () => hex("") }))).toMatchObject({ error: "BADSIG", key: null });
  });

  it("[dns T15] whose TTL is not 0 is BADSIG", () => {
    expect(request(signed({ ttl: 1 }))).toMatchObject({ error: "BADSIG", key: null });
  });

  it("[dns T18] is given no longer a fudge than 300 s, and fudge 0 is the same second", () => {
    expect(request(signed({ time: NOW - 400, fudge: 1000 }))).toMatchObject({ error: "BADTIME" });
    expect(request(signed({ fudge: 0 })).kind).toBe("verified");
    expect(request(signed({ fudge: 0, time: NOW - 1 }))).toMatchObject({ error: "BADTIME" });
  });
});

describe("a signed answer", () => {
  it("[dns T4 T16] is signed over the MAC of the request", () => {
    const answer = signResponse(ANSWER, verified(), NOW + 5);
    const { mac } = verified();
    expect(toHex(answer)).toBe(toHex(signed({ before: concat(u16(32), mac), time: NOW + 5 }, ANSWER)));
    const { tsig } = decodeMessage(answer);
    expect(verifyResponse(answer, tsig, { key: KEY, mac }, NOW).kind).toBe("verified");
    expect(verifyResponse(answer, tsig, { key: KEY, mac: new Uint8Array(32) }, NOW)).toMatchObject({ error: "BADSIG" });
    expect(verifyResponse(answer, tsig, { key: OTHER, mac }, NOW)).toMatchObject({ error: "BADSIG" });
    expect(verifyResponse(ANSWER, null, { key: KEY, mac }, NOW)).toEqual({ kind: "unsigned" });
  });
});
