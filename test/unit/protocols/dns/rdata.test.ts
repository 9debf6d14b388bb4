import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sameValue } from "../../../../src/lib/dns-record.ts";
import { CLASS, TYPE, typeName, typeNumber } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import type { RecordData } from "../../../../src/protocols/dns/message.ts";
import {
  RdataTextError,
  rdataFromText,
  rdataText,
  recordFromText,
  recordText,
  writeRdata,
} from "../../../../src/protocols/dns/rdata/index.ts";
import { Writer } from "../../../../src/protocols/dns/writer.ts";
import { concat, hex, toHex } from "../hex.ts";
import { message, name, record, string, u16, wire } from "./octets.ts";

const SEED = 5003;

function read(type: number, data: Uint8Array): RecordData {
  const { message: decoded } = decodeMessage(message({ sections: [[], [record({ owner: ".", type, data })]] }));
  return decoded.answers[0]?.data as RecordData;
}

function octets(type: number, data: RecordData): string {
  const writer = new Writer("whole");
  writeRdata(writer, type, data);
  return toHex(writer.finish());
}

describe("the value of a record, as text and as octets", () => {
  it.each([
    ["A", "192.0.2.10", hex("c000020a")],
    ["AAAA", "2001:db8::10", hex("20010db8000000000000000000000010")],
    ["AAAA", "::ffff:c000:20a", hex("00000000000000000000ffffc000020a")],
    ["NS", "ns.example.com", wire("ns.example.com")],
    ["CNAME", ".", wire(".")],
    ["PTR", "Host.Example.com", wire("Host.Example.com")],
    ["MX", "10 mail.example.com", concat(u16(10), wire("mail.example.com"))],
    [
      "SOA",
      "ns.a admin\\.x.a 1 2 3 4 4294967295",
      concat(wire("ns.a"), wire("admin\\.x.a"), hex("00000001 00000002 00000003 00000004 ffffffff")),
    ],
    ["TXT", '"v=spf1 -all"', string("v=spf1 -all")],
    ["TXT", '"a" "b\\"c\\\\" ""', concat(string("a"), string('b"c\\'), string(""))],
    ["TXT", '"\\000\\195\\188\\127"', hex("04 00c3bc7f")],
    ["SRV", "0 5 443 host.example.com", concat(u16(0, 5, 443), wire("host.example.com"))],
    [
      "CAA",
      '128 issue "letsencrypt.org"',
      concat(hex("80"), string("issue"), new TextEncoder().encode("letsencrypt.org")),
    ],
    ["CAA", '0 iodef ""', concat(hex("00"), string("iodef"))],
    ["TYPE65280", "\\# 2 00ff", hex("00ff")],
    ["TYPE65280", "\\# 0", hex("")],
    ["DHCID", "\\# 3 010203", hex("010203")],
  ])("[dns W6 W9] of type %s: %s", (typeText, text, data) => {
    const type = typeNumber(typeText) as number;
    expect(rdataText(type, read(type, data))).toBe(text);
    expect(rdataFromText(type, text)).toEqual(read(type, data));
    expect(octets(type, rdataFromText(type, text))).toBe(toHex(data));
  });

  // RFC 9460, appendix D.2.
  it.each([
    ["0 foo.example.com", "0000 03666f6f076578616d706c6503636f6d00"],
    ["1 .", "0001 00"],
    ["16 foo.example.com port=53", "0010 03666f6f076578616d706c6503636f6d00 0003 0002 0035"],
    ['1 foo.example.com key667="hello"', "0001 03666f6f076578616d706c6503636f6d00 029b 0005 68656c6c6f"],
    [
      '1 foo.example.com key667="hello\\210qoo"',
      "0001 03666f6f076578616d706c6503636f6d00 029b 0009 68656c6c6fd2716f6f",
    ],
    [
      "1 foo.example.com ipv6hint=2001:db8::1,2001:db8::53:1",
      "0001 03666f6f076578616d706c6503636f6d00 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001",
    ],
    [
      '16 foo.example.org mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1',
      "0010 03666f6f076578616d706c65036f726700 0000 0004 00010004 0001 0009 026832 0568332d3139 0004 0004 c0000201",
    ],
    [
      '16 foo.example.org alpn="f\\\\\\\\oo\\\\,bar,h2"',
      "0010 03666f6f076578616d706c65036f726700 0001 000c 08665c6f6f2c626172 026832",
    ],
    [
      '1 . alpn="h2" no-default-alpn ech=AEX+DQ== dohpath="/q{?dns}"',
      "0001 00 0001 0003 026832 0002 0000 0005 0004 0045fe0d 0007 0008 2f717b3f646e737d",
    ],
  ])("[dns W6] of types SVCB and HTTPS: %s", (text, data) => {
    for (const type of [TYPE.SVCB, TYPE.HTTPS]) {
      expect(rdataText(type, read(type, hex(data)))).toBe(text);
      expect(octets(type, rdataFromText(type, text))).toBe(data.replaceAll(" ", ""));
    }
  });

  it.each([
    ["A", " 192.0.2.10 ", "192.0.2.10"],
    ["AAAA", "2001:DB8:0:0::0010", "2001:db8::10"],
    ["MX", "10\tmail.example.com.", "10 mail.example.com"],
    ["TXT", "v=spf1 include:x -all", '"v=spf1 include:x -all"'],
    ["TXT", 'say "hi" \\ bye', '"say \\"hi\\" \\\\ bye"'],
    ["TXT", '"a"  b', '"a" "b"'],
    ["TXT", "bücher", '"b\\195\\188cher"'],
    ["TXT", `"${"x".repeat(300)}"`, `"${"x".repeat(255)}" "${"x".repeat(45)}"`],
    ["CAA", "0 issue letsencrypt.org", '0 issue "letsencrypt.org"'],
    ["A", "\\# 4 C000020A", "192.0.2.10"],
    ["MX", "\\# 7 000a 01 61 01 62 00", "10 a.b"],
    ["HTTPS", "1 . port=443 alpn=h2,h3 ipv4hint=192.0.2.1", '1 . alpn="h2,h3" port=443 ipv4hint=192.0.2.1'],
    ["HTTPS", '1 . key1="\\002h2"', null],
    ["HTTPS", "1 . mandatory=port,alpn alpn=h2 port=1", '1 . mandatory=alpn,port alpn="h2" port=1'],
  ])("as people write it: %s %s", (typeText, text, canonical) => {
    const type = typeNumber(typeText) as number;
    if (canonical !== null) expect(rdataText(type, rdataFromText(type, text))).toBe(canonical);
    else expect(rdataText(type, rdataFromText(type, text))).toBe('1 . alpn="\\002h2"');
  });

  it.each([
    ["A", "192.0.2.256", /an IPv4 address, as in/],
    ["A", "", /an IPv4 address/],
    ["A", "192.0.2.1 192.0.2.2", /an IPv4 address/],
    ["AAAA", "192.0.2.1", /an IPv6 address/],
    ["CNAME", "a..b", /a name/],
    ["CNAME", "a b", /a name/],
    ["MX", "mail.example.com", /a preference and a name/],
    ["MX", "65536 mail.example.com", /a preference/],
    ["SRV", "0 0 host", /priority, weight, port and name/],
    ["SOA", "a b 1 2 3 4", /five numbers/],
    ["SOA", "a b 1 2 3 4 4294967296", /five numbers/],
    ["CAA", '0 is-sue "x"', /flags, a tag/],
    ["TXT", "", /text in quotes/],
    ["TXT", '"a', /quote is not closed/],
    ["TXT", '"\\256"', /no octet/],
    ["HTTPS", "1 . port=65536", /parameters/],
    ["HTTPS", "1 . port=1 port=1", /parameters/],
    ["HTTPS", "1 . colour=red", /parameters/],
    ["HTTPS", "1 . alpn=", /parameters/],
    ["HTTPS", "1 . alpn=h2,,h3", /parameters/],
    ["HTTPS", "1 . alpn=,h2", /parameters/],
    ["HTTPS", "1 . mandatory=port", /parameters/],
    ["HTTPS", "1 . mandatory=mandatory", /parameters/],
    ["HTTPS", "1 . no-default-alpn=x", /parameters/],
    ["HTTPS", "1 . ech=!", /parameters/],
    ["HTTPS", "1 . ipv4hint=192.0.2.1,x", /parameters/],
    ["TYPE65280", "00ff", /\\# LENGTH HEX/],
    ["TYPE65280", "\\# 3 00ff", /not as many/],
    ["TYPE65280", "\\# 1 0g", /not as many/],
    ["A", "\\# 3 c00002", /no A record/],
    ["SOA", `\\# 35 01610162 00 c000${"00".repeat(28)}`, /no SOA record/],
    ["ANY", "x", /no type that a record/],
    ["OPT", "\\# 0", /no type that a record/],
  ])("is refused with how it is written: %s %j", (typeText, text, said) => {
    const parse = (): RecordData => rdataFromText(typeNumber(typeText) as number, text);
    expect(parse).toThrow(RdataTextError);
    expect(parse).toThrow(said);
  });

  it.each([
    ["parameters in the wrong order", "0001 00 0003 0002 0035 0001 0003 026832"],
    ["a parameter twice", "0001 00 0003 0002 0035 0003 0002 0035"],
    ["a mandatory one that is not there", "0001 00 0000 0002 0001"],
    ["mandatory ones in the wrong order", "0001 00 0000 0004 0003 0001 0001 0003 026832 0003 0002 0035"],
    ["a port of three octets", "0001 00 0003 0003 000035"],
    ["an alpn item of no octets", "0001 00 0001 0001 00"],
    ["an alpn item that runs on", "0001 00 0001 0002 0568"],
    ["an address hint cut", "0001 00 0004 0003 c00002"],
    ["a length that lies", "0001 00 0003 0004 0035"],
  ])("[dns W6] of type HTTPS is refused with %s", (_, data) => {
    expect(() => read(TYPE.HTTPS, hex(data))).toThrow(/service|ends within/);
  });
});

const anyLabel = fc.uint8Array({ minLength: 1, maxLength: 6 }).map((each) => String.fromCharCode(each.length, ...each));
const anyName = fc
  .array(anyLabel, { maxLength: 4 })
  .map((labels) => Uint8Array.from(`${labels.join("")}\0`, (each) => each.charCodeAt(0)));
const anyString = fc.uint8Array({ maxLength: 20 }).map((each) => Uint8Array.of(each.length, ...each));
const numbers = (count: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: count, maxLength: count });
const parameter = (key: number, value: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.option(value, { nil: null }).map((each) => (each === null ? hex("") : concat(u16(key, each.length), each)));
const anyAlpn = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 3 })
  .map((items) => concat(...items.map((item) => Uint8Array.of(item.length, ...item))));
const service = [
  numbers(2),
  anyName,
  parameter(1, anyAlpn),
  parameter(3, numbers(2)),
  parameter(4, numbers(8)),
  parameter(5, numbers(5)),
  parameter(6, numbers(16)),
  parameter(7, numbers(4)),
  parameter(700, numbers(3)),
];

/** RDATA of each type as RFCs lay it out: parts one after the other. */
const LAYOUTS: readonly (readonly [number, readonly fc.Arbitrary<Uint8Array>[]])[] = [
  [TYPE.A, [numbers(4)]],
  [TYPE.AAAA, [numbers(16)]],
  [TYPE.NS, [anyName]],
  [TYPE.CNAME, [anyName]],
  [TYPE.PTR, [anyName]],
  [TYPE.SOA, [anyName, anyName, numbers(20)]],
  [TYPE.MX, [numbers(2), anyName]],
  [TYPE.TXT, [anyString, anyString]],
  [TYPE.SRV, [numbers(6), anyName]],
  [TYPE.CAA, [numbers(1), fc.constant(string("issue")), fc.uint8Array({ maxLength: 20 })]],
  [TYPE.SVCB, service],
  [TYPE.HTTPS, service],
  [65280, [fc.uint8Array({ maxLength: 20 })]],
];

describe("any RDATA", () => {
  it.each(LAYOUTS)("[dns W9 U31] of type %i is the same octets again, by way of the text too", (type, parts) => {
    fc.assert(
      fc.property(
        fc.tuple(...parts).map((each) => concat(...each)),
        (data) => {
          const value = read(type, data);
          expect(octets(type, value)).toBe(toHex(data));
          const text = rdataText(type, value);
          expect(text).toMatch(/^[ -~]+$/);
          expect(rdataFromText(type, text)).toEqual(value);
          expect(
            sameValue(typeName(type), text, rdataText(type, rdataFromText(type, `\\# ${data.length} ${toHex(data)}`))),
          ).toBe(true);
        },
      ),
      { seed: SEED, numRuns: 60 },
    );
  });
});

describe("a record as text", () => {
  it("is a record again", () => {
    const text = { name: "a.gw.test", type: "SRV", ttl: 60, value: "0 0 443 B.gw.test" };
    expect(recordText(recordFromText(text))).toEqual(text);
    expect(recordFromText(text)).toMatchObject({ class: CLASS.IN, type: TYPE.SRV, data: { port: 443 } });
    expect(recordText({ ...recordFromText(text), name: name("A.gw.test") })).toEqual(text);
  });

  it.each([
    [{ name: "a..b", type: "A", ttl: 1, value: "192.0.2.1" }, /no domain name/],
    [{ name: "a", type: "TYPE65536", ttl: 1, value: "192.0.2.1" }, /no type/],
    [{ name: "a", type: "toString", ttl: 1, value: "192.0.2.1" }, /no type/],
  ])("is refused: %j", (text, said) => expect(() => recordFromText(text)).toThrow(said));
});
