import { describe, expect, it } from "vitest";
import { formatName } from "../../../../src/lib/domain-name.ts";
import { CLASS, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage, readHeader } from "../../../../src/protocols/dns/decode.ts";
import { DnsDecodeError } from "../../../../src/protocols/dns/error.ts";
import { concat, hex } from "../hex.ts";
import { message, name, pointer, question, record, string, u16, u32, UPDATE, wire } from "./octets.ts";

const QUESTION = question("www.Example", TYPE.A);
/** Where the first name is. */
const FIRST = 12;

function fault(bytes: Uint8Array): DnsDecodeError {
  try {
    decodeMessage(bytes);
  } catch (error) {
    if (error instanceof DnsDecodeError) return error;
    throw error;
  }
  throw new Error("it was decoded");
}

describe("a message that is read", () => {
  it("[dns W1] is dropped if it is less than a header, and says to whom otherwise", () => {
    for (let length = 0; length < 12; length += 1) {
      expect(fault(new Uint8Array(length))).toMatchObject({ code: "DROP", header: null });
    }
    expect(fault(message({ id: 0xabcd, flags: 0x0100, counts: [1, 0, 0, 0] }))).toMatchObject({
      code: "FORMERR",
      header: { id: 0xabcd, recursionDesired: true, opcode: 0 },
    });
  });

  it("[dns W2 W3 U1] has all its header bits, whatever they are", () => {
    expect(readHeader(hex("0001 8000 0000000000000000"))).toMatchObject({ response: true, opcode: 0 });
    expect(readHeader(hex("0001 7db7 0000000000000000"))).toEqual({
      id: 1,
      response: false,
      opcode: 15,
      authoritative: true,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: true,
      authenticData: true,
      checkingDisabled: true,
      rcode: 7,
    });
    const { message: update } = decodeMessage(message({ flags: UPDATE | 0x0130, sections: [[QUESTION]] }));
    expect(update).toMatchObject({ opcode: 5, recursionDesired: true, authenticData: true, checkingDisabled: true });
  });

  it.each([
    ["questions", [2, 0, 0, 0]],
    ["answers", [1, 1, 0, 0]],
    ["all", [0xffff, 0xffff, 0xffff, 0xffff]],
  ])("[dns W4] that counts more %s than there is room for is refused", (_, counts) => {
    expect(fault(message({ counts, rest: QUESTION })).message).toMatch(/more records|ends within/);
  });

  it.each([
    ["of type 01", concat(Uint8Array.of(0x41), wire("a"))],
    ["of type 10", concat(Uint8Array.of(0x80), wire("a"))],
  ])("[dns W5] with a label %s is refused", (_, owner) => {
    expect(fault(message({ counts: [1, 0, 0, 0], rest: concat(owner, u16(1, 1)) })).message).toMatch(/unknown type/);
  });

  it("[dns W5] with a name of more than 255 octets is refused, in one piece or by pointers", () => {
    const label = concat(Uint8Array.of(63), new Uint8Array(63).fill(0x61));
    const whole = concat(label, label, label, label, Uint8Array.of(0));
    expect(fault(message({ counts: [1, 0, 0, 0], rest: concat(whole, u16(1, 1)) })).message).toMatch(/255/);
    const three = concat(label, label, label, Uint8Array.of(0), u16(1, 1));
    const more = concat(label, pointer(FIRST), u16(1, 1));
    expect(fault(message({ counts: [2, 0, 0, 0], rest: concat(three, more) })).message).toMatch(/255/);
  });

  it.each([
    ["itself", FIRST + QUESTION.length],
    ["what comes after", FIRST + QUESTION.length + 4],
    ["the header", 4],
  ])("[dns W5] with a pointer to %s is refused", (_, target) => {
    const bytes = message({ sections: [[QUESTION], [record({ owner: pointer(target), type: TYPE.TXT })]] });
    expect(fault(bytes).message).toMatch(/does not lead back/);
  });

  it("[dns W5] may not come back into the part of the name that it is in", () => {
    // The label "a", then a pointer to its own beginning.
    const bytes = message({ counts: [1, 0, 0, 0], rest: concat(Uint8Array.of(1, 0x61), pointer(FIRST), u16(1, 1)) });
    expect(fault(bytes).message).toMatch(/does not lead back/);
  });

  it("[dns W5] may have names of sixteen pointers and not of more", () => {
    // Pointers that stand in opaque data, each of which leads to the one before it.
    const chain = (hops: number): Uint8Array => {
      const dataAt = FIRST + question("a.bc", TYPE.A).length + record({ owner: ".", type: 300 }).length;
      const at = (index: number): number => (index === 0 ? FIRST : dataAt + (index - 1) * 2);
      const pointers = Array.from({ length: hops - 1 }, (_, index) => pointer(at(index)));
      const holder = record({ owner: ".", type: 300, data: concat(...pointers) });
      const last = record({ owner: pointer(at(hops - 1)), type: 300 });
      return message({ sections: [[question("a.bc", TYPE.A)], [holder, last]] });
    };
    expect(decodeMessage(chain(16)).message.answers[1]?.name).toEqual(name("a.bc"));
    expect(fault(chain(17)).message).toMatch(/too many pointers/);
  });

  it("[dns W6] whose RDATA ends beyond it is refused", () => {
    const lying = record({ type: TYPE.A, data: hex("01020304"), length: 5 });
    expect(fault(message({ sections: [[], [lying]] })).message).toMatch(/ends within/);
  });

  it.each([
    ["A of 3", TYPE.A, hex("010203")],
    ["A of 5", TYPE.A, hex("0102030405")],
    ["A of 0", TYPE.A, hex("")],
    ["AAAA of 15", TYPE.AAAA, new Uint8Array(15)],
    ["AAAA of 17", TYPE.AAAA, new Uint8Array(17)],
    ["NS with more", TYPE.NS, concat(wire("ns"), hex("00"))],
    ["CNAME cut", TYPE.CNAME, wire("a.b").subarray(0, 3)],
    ["SOA cut", TYPE.SOA, concat(wire("a"), wire("b"), new Uint8Array(19))],
    ["SOA with more", TYPE.SOA, concat(wire("a"), wire("b"), new Uint8Array(21))],
    ["MX without a name", TYPE.MX, u16(10)],
    ["TXT of nothing", TYPE.TXT, hex("")],
    ["TXT whose string runs on", TYPE.TXT, hex("0561")],
    ["SRV without a name", TYPE.SRV, u16(0, 0, 443)],
    ["CAA without a tag", TYPE.CAA, hex("0000")],
    ["CAA with a tag that is none", TYPE.CAA, concat(hex("00"), string("is sue"))],
    ["CAA whose tag runs on", TYPE.CAA, hex("000561")],
    ["NAPTR cut", TYPE.NAPTR, concat(u16(1, 1), string("u"))],
    ["RP with more", TYPE.RP, concat(wire("a"), wire("b"), hex("00"))],
  ])("[dns W6 U21] refuses %s", (_, type, data) => {
    // A record after it, so that its octets are not to be had.
    const bytes = message({
      sections: [[], [record({ type, data }), record({ type: TYPE.A, data: hex("01020304") })]],
    });
    expect(fault(bytes)).toMatchObject({ code: "FORMERR" });
  });

  it("[dns W6] hides no record in what RDATA leaves over", () => {
    const second = record({ owner: ".", type: TYPE.A, data: hex("01020304") });
    // Who goes on after the address, and not after the RDATA, finds a record whose data is the second one.
    const hidden = record({ owner: ".", type: 300, length: second.length });
    const first = record({ owner: ".", type: TYPE.A, data: concat(hex("01020304"), hidden) });
    expect(fault(message({ sections: [[], [first, second]] })).message).toMatch(/another length than it says/);
  });

  it("[dns W7] with octets after its last record is refused", () => {
    expect(fault(message({ sections: [[QUESTION]], rest: hex("00") })).message).toMatch(/after the last record/);
  });

  it("[dns W8] keeps the octets and the case of its names", () => {
    const odd = Uint8Array.of(3, 0x41, 0x2e, 0x00, 2, 0xff, 0xfe, 0);
    const { message: read } = decodeMessage(message({ counts: [1, 0, 0, 0], rest: concat(odd, u16(1, 1)) }));
    expect(formatName(read.questions[0]?.name ?? name("."))).toBe("A\\.\\000.\\255\\254");
    expect(read.questions[0]?.name.key).toBe("\u0003a.\0\u0002\u00ff\u00fe\0");
  });

  it("[dns W9] may have compressed names in RDATA of the old types, and has them whole", () => {
    const data = (type: number, octets: Uint8Array) =>
      decodeMessage(message({ sections: [[QUESTION], [record({ type, data: octets })]] })).message.answers[0]?.data;
    const target = name("www.Example");
    expect(data(TYPE.PTR, pointer(FIRST))).toEqual({ kind: "PTR", target });
    expect(data(TYPE.SRV, concat(u16(1, 2, 3), pointer(FIRST)))).toMatchObject({ kind: "SRV", target });
    expect(data(TYPE.RP, concat(pointer(FIRST), pointer(FIRST)))).toEqual({
      kind: "opaque",
      bytes: concat(wire("www.Example"), wire("www.Example")),
    });
    expect(data(TYPE.NAPTR, concat(u16(1, 2), string("u"), string("s"), string(""), pointer(FIRST)))).toEqual({
      kind: "opaque",
      bytes: concat(u16(1, 2), string("u"), string("s"), string(""), wire("www.Example")),
    });
    // Of these nobody knows whether it is a name.
    expect(data(65280, pointer(FIRST))).toEqual({ kind: "opaque", bytes: pointer(FIRST) });
  });

  it("[dns W9] may not in RDATA of the new ones", () => {
    const data = concat(u16(1), pointer(FIRST));
    expect(fault(message({ sections: [[QUESTION], [record({ type: TYPE.HTTPS, data })]] })).message).toMatch(
      /compressed/,
    );
  });

  it("[dns W10 U6] may have any number of questions: who is asked says how many there may be", () => {
    expect(decodeMessage(message({})).message.questions).toEqual([]);
    expect(decodeMessage(message({ sections: [[QUESTION, QUESTION]] })).message.questions).toHaveLength(2);
  });

  it("[dns W11] may have compressed names in the sections of an UPDATE", () => {
    const added = record({ owner: concat(hex("0161"), pointer(FIRST)), type: TYPE.A, data: hex("0a000001") });
    const { message: read } = decodeMessage(
      message({ flags: UPDATE, sections: [[question("gw.test", TYPE.SOA)], [], [added]] }),
    );
    expect(read.authorities[0]).toMatchObject({ name: name("a.gw.test"), data: { kind: "A", address: "10.0.0.1" } });
  });

  it("[dns U9 U23] has no data in class ANY and NONE where there is none, and that of its type where there is", () => {
    const updates = [
      record({ type: TYPE.A, class: CLASS.ANY }),
      record({ type: TYPE.MX, class: CLASS.NONE }),
      record({ type: TYPE.A, class: CLASS.NONE, data: hex("0a000001") }),
      record({ type: TYPE.A, class: CLASS.ANY, data: hex("0a") }),
    ];
    const { message: read } = decodeMessage(message({ flags: UPDATE, sections: [[], [], updates] }));
    expect(read.authorities.map(({ data }) => data)).toEqual([
      { kind: "empty" },
      { kind: "empty" },
      { kind: "A", address: "10.0.0.1" },
      { kind: "opaque", bytes: hex("0a") },
    ]);
    const wrong = record({ type: TYPE.A, class: CLASS.NONE, data: hex("0a00") });
    expect(fault(message({ flags: UPDATE, sections: [[], [], [wrong]] })).code).toBe("FORMERR");
  });

  it("has TTLs of 32 bits, unsigned, and addresses as octets of other classes", () => {
    const chaos = record({ type: TYPE.A, class: CLASS.CH, ttl: 0xffff_ffff, data: hex("0102") });
    expect(decodeMessage(message({ sections: [[], [chaos]] })).message.answers[0]).toMatchObject({
      ttl: 0xffff_ffff,
      data: { kind: "opaque", bytes: hex("0102") },
    });
  });
});

describe("what was read of a Buffer", () => {
  it("is a copy, which stays when the Buffer is used again", () => {
    const bytes = Buffer.from(message({ sections: [[], [record({ type: 300, data: hex("0102") })]] }));
    const { data } = decodeMessage(bytes).message.answers[0] ?? {};
    bytes.fill(0);
    expect(data).toEqual({ kind: "opaque", bytes: hex("0102") });
  });
});

describe("[dns F3] EDNS", () => {
  const opt = (options: { owner?: string; octets?: number; ttl?: number; data?: Uint8Array }): Uint8Array =>
    record({ owner: ".", type: TYPE.OPT, class: 1232, ...options });

  it("is read, with the upper bits of the rcode", () => {
    const data = concat(u16(10, 3), hex("aabbcc"), u16(2, 4), u32(3600));
    const { message: read } = decodeMessage(
      message({ flags: 0x8000, sections: [[], [], [], [opt({ ttl: 0x0100_8000, data })]] }),
    );
    expect(read.edns).toEqual({
      udpOctets: 1232,
      version: 0,
      dnssecOk: true,
      options: [
        { code: 10, data: hex("aabbcc") },
        { code: 2, data: u32(3600) },
      ],
    });
    expect(read.rcode).toBe(16);
    expect(read.additionals).toEqual([]);
  });

  it("counts less than 512 octets as 512, and knows nothing of the options of another version", () => {
    const small = record({ owner: ".", type: TYPE.OPT, class: 40 });
    expect(decodeMessage(message({ sections: [[], [], [], [small]] })).message.edns?.udpOctets).toBe(512);
    const later = opt({ ttl: 0x0001_0000, data: hex("ff") });
    expect(decodeMessage(message({ sections: [[], [], [], [later]] })).message.edns).toMatchObject({
      version: 1,
      options: [],
    });
  });

  it.each([
    ["twice", [opt({}), opt({})]],
    ["with a name", [opt({ owner: "a" })]],
    ["with an option that runs on", [opt({ data: concat(u16(10, 3), hex("aabb")) })]],
    ["with half an option", [opt({ data: hex("00") })]],
  ])("is refused %s", (_, records) => {
    expect(fault(message({ sections: [[], [], [], records] })).code).toBe("FORMERR");
  });

  it("is an additional record, or refused", () => {
    expect(fault(message({ sections: [[], [opt({})]] })).code).toBe("FORMERR");
  });
});
