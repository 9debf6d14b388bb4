import assert from "node:assert/strict";
import { describe, expect, it, vi } from "vitest";
import { TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage, Decoder } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import { DnsDecodeError } from "../../../../src/protocols/dns/error.ts";
import type { Message } from "../../../../src/protocols/dns/message.ts";
import { Reader } from "../../../../src/protocols/dns/reader.ts";
import { decodeMutations } from "../mutation.ts";
import { concat, hex } from "../hex.ts";
import { message, pointer, question, record, string, u16, UPDATE, wire } from "./octets.ts";

const SEED = 5002;
const STEPS_PER_OCTET_MAX = 64;
const TCP = 65_535;
const LABELS_MAX = 127;

/** Whatever comes of it, within the budget. */
function decodeWithin(bytes: Uint8Array): Message {
  const decoder = new Decoder(bytes);
  try {
    return decoder.message().message;
  } finally {
    assert(decoder.reader.steps <= STEPS_PER_OCTET_MAX * bytes.length, "it stays within the budget");
  }
}

function within(bytes: Uint8Array): "decoded" | "refused" {
  try {
    decodeWithin(bytes);
    return "decoded";
  } catch (error) {
    if (!(error instanceof DnsDecodeError)) throw error;
    return "refused";
  }
}

/** As many of a piece as there is room for. */
function repeated(piece: (index: number) => Uint8Array, octets: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let size = 0; ; ) {
    const next = piece(pieces.length);
    size += next.length;
    if (size > octets || pieces.length === 0xffff) return pieces;
    pieces.push(next);
  }
}

/** 255 octets in labels of one. */
const longest = concat(...Array.from({ length: LABELS_MAX }, () => hex("0161")), hex("00"));

describe("what was made to be costly", () => {
  it("[dns 2.2] a header that counts 65,535 of everything", () => {
    expect(within(message({ counts: [0xffff, 0xffff, 0xffff, 0xffff] }))).toBe("refused");
  });

  it.each([
    ["an SSHFP record of a hash that nobody knows", TYPE.SSHFP, hex("0109")],
    ["a TXT record whose string runs on", TYPE.TXT, hex("ff61")],
  ])("[dns 2.2] %s, and counts that read it again and again", (_, type, data) => {
    for (const octets of [27, 512, 1232]) {
      const records = repeated(() => record({ owner: ".", type, data }), octets - 12);
      for (const counts of [
        [0, 0xffff, 0xffff, 0],
        [0, records.length, 0, 0],
        [0, 0, 0, records.length],
      ]) {
        const verdict = within(message({ counts, rest: concat(...records) }));
        if (type === TYPE.TXT || counts[1] === 0xffff) expect(verdict).toBe("refused");
      }
    }
  });

  it("[dns 2.2] 32,000 strings of one octet, without a view of the message for each", () => {
    const data = new Uint8Array(TCP - 30).fill(1).subarray(1);
    // As a datagram comes: of what Node calls a Buffer a view costs most.
    const bytes = Buffer.from(message({ sections: [[], [record({ owner: ".", type: TYPE.TXT, data })]] }));
    const views = vi.spyOn(bytes, "subarray");
    expect(within(bytes)).toBe("decoded");
    // With them it took 15 ms, and 60 such datagrams a second stopped a resolver; without them, 2 ms.
    expect(views).toHaveBeenCalledTimes(0);
  });

  it("[dns 2.2] bitmaps of NSEC that stand for half a million types", () => {
    const windows = concat(
      ...Array.from({ length: 256 }, (_, index) => concat(Uint8Array.of(index, 32), new Uint8Array(32).fill(0xff))),
    );
    const nsec = record({ owner: ".", type: TYPE.NSEC, data: concat(wire("a"), windows) });
    const records = repeated(() => nsec, TCP - 12);
    expect(records.length).toBeGreaterThan(5);
    expect(within(message({ sections: [[], records] }))).toBe("decoded");
  });

  it.each([512, 1232, 4096, TCP])("[dns 2.2] a chain of pointers in %i octets", (octets) => {
    // In opaque data: nothing looks at it before the last name does.
    const start = 12 + question("a", TYPE.A).length + 11;
    const pointers = repeated(
      (index) => pointer(index === 0 ? 12 : start + 2 * (index - 1)),
      Math.min(octets - start - 12, 0x3fff - start),
    );
    const holder = record({ owner: ".", type: 300, data: concat(...pointers) });
    const tail = record({ owner: pointer(start + 2 * (pointers.length - 1)), type: 300 });
    expect(within(message({ sections: [[question("a", TYPE.A)], [holder, tail]] }))).toBe("refused");
    // One after the other, as owners of records: each is known when the next leads to it.
    const owners = repeated(
      (index) => record({ owner: pointer(index === 0 ? 12 : 19 + 12 * (index - 1)), type: 300 }),
      Math.min(octets, 0x3fff) - 31,
    );
    expect(within(message({ sections: [[question("a", TYPE.A)], owners] }))).toBe("decoded");
  });

  it("[dns 2.2] 5,000 names of 127 labels, from a few octets each", () => {
    const first = concat(longest, u16(TYPE.A, 1));
    const same = repeated(() => record({ owner: pointer(12), type: 300 }), TCP - 12 - first.length);
    expect(within(message({ sections: [[first], same] }))).toBe("decoded");
    // Each a name of its own, so that none is known before.
    const other = repeated(
      (index) => record({ owner: concat(Uint8Array.of(1, index & 0xff), pointer(14)), type: 300 }),
      TCP - 12 - first.length,
    );
    expect(other.length).toBeGreaterThan(4600);
    expect(within(message({ sections: [[first], other] }))).toBe("refused");
    // Where an honest message would end, it is read.
    expect(within(message({ sections: [[first], other.slice(0, 16)] }))).toBe("decoded");
  });

  it("[dns 2.2] names that begin at every octet of one record's data, each of them another", () => {
    const labels = new Uint8Array(4096).fill(1);
    // Length and letter are both 1, so that a name may begin at each of them; the longest that end at the root do.
    const holder = record({ owner: ".", type: 300, data: concat(labels, hex("00")) });
    const end = 12 + record({ owner: ".", type: 300 }).length + labels.length;
    const owners = repeated((index) => record({ owner: pointer(end - 2 * (index % 126)), type: 300 }), 40_000);
    expect(within(message({ sections: [[], [holder, ...owners]] }))).toBe("decoded");
    // In RDATA that is copied with its names whole, each of them counts again.
    const copied = repeated(
      (index) =>
        record({
          owner: ".",
          type: TYPE.MINFO,
          data: concat(pointer(end - 2 * (index % 126)), pointer(end - 2 * ((index + 1) % 126))),
        }),
      50_000,
    );
    expect(within(message({ sections: [[], [holder, ...copied]] }))).toBe("refused");
  });

  it("[dns 2.2] 65,000 strings of no octets", () => {
    const read = decodeMessage(
      message({ sections: [[], [record({ owner: ".", type: TYPE.TXT, data: new Uint8Array(65_000) })]] }),
    );
    const [answer] = read.message.answers;
    const strings = answer?.data.kind === "TXT" ? answer.data.strings : [];
    expect(strings).toHaveLength(65_000);
    expect(new Set(strings).size).toBe(1);
  });

  it("[dns 2.2] faults in every record: one is enough", () => {
    const records = repeated(() => record({ owner: ".", type: TYPE.MX, data: hex("00") }), TCP - 12);
    const fault = vi.spyOn(Reader.prototype, "fault");
    expect(within(message({ sections: [[], records] }))).toBe("refused");
    expect(fault).toHaveBeenCalledTimes(1);
    fault.mockRestore();
  });

  it("[dns 2.2] what was read is not larger when it is written", () => {
    const first = concat(longest, u16(TYPE.A, 1));
    const same = repeated(() => record({ owner: pointer(12), type: TYPE.PTR, data: pointer(12) }), 0x3000);
    const bytes = message({ sections: [[first], same] });
    expect(encodeMessage(decodeMessage(bytes).message).length).toBeLessThanOrEqual(bytes.length);
  });

  it("100,000 mutated messages, and nothing but its own error leaves the codec", () => {
    const seeds = [
      message({
        flags: 0x0100,
        sections: [
          [question("www.example.com", TYPE.A)],
          [],
          [],
          [record({ owner: ".", type: TYPE.OPT, class: 1232, data: concat(u16(10, 2), hex("abcd")) })],
        ],
      }),
      message({
        flags: 0x8180,
        sections: [
          [question("www.example.com", TYPE.ANY)],
          [
            record({ owner: pointer(12), type: TYPE.CNAME, ttl: 60, data: concat(string("host"), pointer(16)) }),
            record({ owner: pointer(12), type: TYPE.TXT, ttl: 60, data: concat(string("a"), string("b")) }),
            record({
              owner: pointer(12),
              type: TYPE.HTTPS,
              data: concat(u16(1), wire("."), u16(1, 3), string("h2"), u16(3, 2, 443)),
            }),
            record({ owner: pointer(12), type: TYPE.CAA, data: concat(hex("00"), string("issue"), hex("6361")) }),
            record({
              owner: pointer(12),
              type: TYPE.NAPTR,
              data: concat(u16(1, 2), string("u"), string(""), string("x"), pointer(12)),
            }),
          ],
          [record({ owner: pointer(16), type: TYPE.SOA, data: concat(pointer(12), pointer(16), new Uint8Array(20)) })],
        ],
      }),
      message({
        flags: UPDATE,
        sections: [
          [question("gw.test", TYPE.SOA)],
          [record({ owner: pointer(12), type: TYPE.ANY, class: 255 })],
          [record({ owner: concat(hex("0161"), pointer(12)), type: TYPE.A, class: 254, data: hex("0a000001") })],
          [
            record({
              owner: "key.gw.test",
              type: TYPE.TSIG,
              class: 255,
              data: concat(wire("hmac-sha256"), u16(0, 1, 2, 300, 4), hex("00112233"), u16(1, 0, 0)),
            }),
          ],
        ],
      }),
    ];
    for (const seed of seeds) decodeMessage(seed);
    decodeMutations({
      seed: SEED,
      runs: 100_000,
      seeds,
      own: DnsDecodeError,
      decode: (bytes) => encodeMessage(decodeWithin(bytes)),
    });
  });
});
