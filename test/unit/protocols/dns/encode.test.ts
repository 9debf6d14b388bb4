import { describe, expect, it } from "vitest";
import { CLASS, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import type { DnsRecord, Edns, Message, RecordData } from "../../../../src/protocols/dns/message.ts";
import { concat, hex, toHex } from "../hex.ts";
import { message, name, pointer, question, record, u16, wire } from "./octets.ts";

const EDNS: Edns = { udpOctets: 1232, version: 0, dnssecOk: true, options: [{ code: 15, data: hex("0003") }] };
const EMPTY = decodeMessage(message({})).message;

const made = (owner: string, data: RecordData, ttl = 60): DnsRecord => {
  return { name: name(owner), type: TYPE[data.kind as keyof typeof TYPE], class: CLASS.IN, ttl, data };
};
const address = (owner: string, last: number): DnsRecord => made(owner, { kind: "A", address: `10.0.0.${last}` });
const answer = (parts: Partial<Message>): Message => ({
  ...EMPTY,
  id: 0x1234,
  response: true,
  questions: [{ name: name("www.example.com"), type: TYPE.A, class: CLASS.IN }],
  ...parts,
});
const addresses = (count: number): DnsRecord[] =>
  Array.from({ length: count }, (_, index) => address("www.example.com", index + 1));

describe("a message that is written", () => {
  it("has its header bits and counts, and its OPT record last", () => {
    const every = {
      authoritative: true,
      recursionDesired: true,
      recursionAvailable: true,
      authenticData: true,
      checkingDisabled: true,
    };
    const bytes = encodeMessage(answer({ ...every, opcode: 4, rcode: 16, edns: EDNS, answers: addresses(2) }));
    expect(toHex(bytes.subarray(0, 12))).toBe("1234a5b0 0001 0002 0000 0001".replaceAll(" ", ""));
    expect(toHex(bytes.subarray(bytes.length - 17))).toBe(
      "00 0029 04d0 01 00 8000 0006 000f 0002 0003".replaceAll(" ", ""),
    );
    expect(decodeMessage(bytes).message).toEqual(
      answer({ ...every, opcode: 4, rcode: 16, edns: EDNS, answers: addresses(2) }),
    );
  });

  it("[dns W9] points to what was written, in names and in RDATA of the old types only", () => {
    const bytes = encodeMessage(
      answer({
        answers: [
          made("www.example.com", { kind: "CNAME", target: name("host.example.com") }),
          made("host.example.com", { kind: "SRV", priority: 1, weight: 2, port: 3, target: name("www.example.com") }),
          made("example.com", { kind: "MX", preference: 5, exchange: name("host.example.com") }),
        ],
      }),
    );
    const expected = message({
      flags: 0x8000,
      sections: [
        [question("www.example.com", TYPE.A)],
        [
          record({
            owner: pointer(12),
            type: TYPE.CNAME,
            ttl: 60,
            data: concat(wire("host").subarray(0, 5), pointer(16)),
          }),
          record({ owner: pointer(45), type: TYPE.SRV, ttl: 60, data: concat(u16(1, 2, 3), wire("www.example.com")) }),
          record({ owner: pointer(16), type: TYPE.MX, ttl: 60, data: concat(u16(5), pointer(45)) }),
        ],
      ],
    });
    expect(toHex(bytes)).toBe(toHex(expected));
  });

  it("[dns W8] points only to what is the same octet by octet: no name changes its case", () => {
    const names = ["WWW.example.com", "www.EXAMPLE.com", "www.example.com"];
    const bytes = encodeMessage(answer({ answers: names.map((each) => address(each, 1)) }));
    expect(decodeMessage(bytes).message.answers.map((each) => each.name)).toEqual(names.map(name));
  });

  it("points to nothing beyond what fourteen bits say", () => {
    const big = { ...address("x", 1), type: 65280, data: { kind: "opaque" as const, bytes: new Uint8Array(0x4000) } };
    const bytes = encodeMessage(
      answer({ answers: [big, address("late.example.com", 1), address("late.example.com", 2)] }),
    );
    expect(decodeMessage(bytes).message.answers[2]).toEqual(address("late.example.com", 2));
  });

  it("[dns F35 T20] that does not fit is its question, with TC", () => {
    const full = answer({ answers: addresses(31), edns: EDNS, rcode: 3 });
    const octets = encodeMessage(full).length;
    expect(encodeMessage(full, { limit: octets, room: 0 })).toHaveLength(octets);
    const cut = decodeMessage(encodeMessage(full, { limit: octets - 1, room: 0 })).message;
    expect(cut).toEqual({ ...full, truncated: true, answers: [] });
    const signed = encodeMessage(full, { limit: octets + 84, room: 85 });
    expect(signed.length).toBeLessThanOrEqual(octets - 1);
    expect(decodeMessage(signed).message).toEqual({ ...full, truncated: true, answers: [], rcode: 0 });
    expect(encodeMessage(full, { limit: octets + 85, room: 85 })).toHaveLength(octets);
  });

  it("[dns F35] whose authorities do not fit has none of its answers", () => {
    const full = answer({ answers: addresses(2), authorities: addresses(30) });
    const cut = decodeMessage(encodeMessage(full, { limit: 512, room: 0 })).message;
    expect(cut).toMatchObject({ truncated: true, answers: [], authorities: [] });
  });

  it("leaves out additional records that do not fit, by whole RRsets, and says nothing of it", () => {
    const glue = [
      address("a.example.com", 1),
      address("b.example.com", 1),
      address("b.example.com", 2),
      address("c.example.com", 1),
    ];
    const full = answer({ answers: addresses(1), additionals: glue, edns: EDNS });
    const limit = encodeMessage(full).length;
    const kept = (less: number): number =>
      decodeMessage(encodeMessage(full, { limit: limit - less, room: 0 })).message.additionals.length;
    expect([0, 1, 18, 19, 34, 35, 54].map(kept)).toEqual([4, 3, 3, 1, 1, 1, 0]);
    expect(decodeMessage(encodeMessage(full, { limit: limit - 20, room: 0 })).message).toMatchObject({
      truncated: false,
      edns: EDNS,
      answers: addresses(1),
    });
  });
});
