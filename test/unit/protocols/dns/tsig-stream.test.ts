import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { type Failed, signRequest, tsigKey, type Verified, verifyRequest } from "../../../../src/protocols/dns/tsig.ts";
import { signStream, verifyStream } from "../../../../src/protocols/dns/tsig-stream.ts";
import { concat, hex, patch, toHex } from "../hex.ts";
import { message, name, question, record, u16 } from "./octets.ts";

const NOW = 1_764_080_000;
const SECRET = new Uint8Array(32).fill(7);
const KEY = tsigKey(name("dev1.gw.test").key, SECRET);
const ASKED = signRequest(message({ sections: [[question("gw.test", TYPE.AXFR)]] }), KEY, NOW);
const REQUEST = verifyRequest(ASKED.bytes, decodeMessage(ASKED.bytes).tsig, () => KEY, NOW) as Verified;
const part = (index: number): Uint8Array =>
  message({ flags: 0x8400, sections: [[], [record({ type: TYPE.A, data: concat(u16(0x0a00), u16(index)) })]] });

describe("[dns T6] an answer of several messages", () => {
  it("is signed over the MAC before, and after the first over time and fudge alone", () => {
    const next = signStream(REQUEST);
    const [first, second] = [next(part(1), NOW), next(part(2), NOW + 1)];
    const [macFirst, macSecond] = [first, second].map((bytes) => decodeMessage(bytes).tsig?.mac ?? hex(""));
    const timers = concat(u16(0, Math.floor((NOW + 1) / 65536), (NOW + 1) % 65536), u16(300));
    const input = concat(u16(32), macFirst as Uint8Array, part(2), timers);
    expect(toHex(macSecond as Uint8Array)).toBe(createHmac("sha256", SECRET).update(input).digest("hex"));
  });

  it("is verified message by message", () => {
    const [next, check] = [signStream(REQUEST), verifyStream({ key: KEY, mac: ASKED.mac })];
    for (let index = 0; index < 4; index += 1) {
      const bytes = next(part(index), NOW + index);
      expect(check(bytes, decodeMessage(bytes).tsig, NOW)).toMatchObject({ kind: "verified" });
    }
  });

  it.each([
    ["is changed", (bytes: Uint8Array) => patch(bytes, 34, "ff")],
    ["comes twice", (_: Uint8Array, before: Uint8Array) => before],
  ])("is refused if a message of it %s", (_, change) => {
    const [next, check] = [signStream(REQUEST), verifyStream({ key: KEY, mac: ASKED.mac })];
    const first = next(part(1), NOW);
    expect(check(first, decodeMessage(first).tsig, NOW)).toMatchObject({ kind: "verified" });
    const second = change(next(part(2), NOW), first);
    expect((check(second, decodeMessage(second).tsig, NOW) as Failed).error).toBe("BADSIG");
  });

  /** As a server does that signs some only: its digest takes in what was not signed. */
  function afterUnsigned(count: number): ReturnType<ReturnType<typeof verifyStream>> {
    const [next, check] = [signStream(REQUEST), verifyStream({ key: KEY, mac: ASKED.mac })];
    const first = next(part(0), NOW);
    check(first, decodeMessage(first).tsig, NOW);
    const between = Array.from({ length: count }, (_, index) => part(index));
    for (const bytes of between) {
      const verdict = check(bytes, null, NOW);
      if (verdict === "too-many-unsigned") return verdict;
    }
    const timers = concat(u16(0, Math.floor(NOW / 65536), NOW % 65536), u16(300));
    const before = concat(u16(32), decodeMessage(first).tsig?.mac ?? hex(""), ...between);
    const mac = createHmac("sha256", SECRET)
      .update(concat(before, part(1), timers))
      .digest();
    const last = next(part(1), NOW);
    const signed = patch(last, last.length - 6 - 32, mac.toString("hex"));
    return check(signed, decodeMessage(signed).tsig, NOW);
  }

  it("may leave 99 messages unsigned between two that are, and not more", () => {
    expect(afterUnsigned(0)).toMatchObject({ kind: "verified" });
    expect(afterUnsigned(3)).toMatchObject({ kind: "verified" });
    expect(afterUnsigned(99)).toMatchObject({ kind: "verified" });
    expect(afterUnsigned(100)).toBe("too-many-unsigned");
  });

  it("begins with a signed one", () => {
    expect(verifyStream({ key: KEY, mac: ASKED.mac })(part(1), null, NOW)).toBe("too-many-unsigned");
  });
});
