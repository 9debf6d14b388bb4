import dnsPacket from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatName } from "../../../../src/lib/domain-name.ts";
import { CLASS, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import type { DnsRecord, Edns, Message, RecordData } from "../../../../src/protocols/dns/message.ts";
import { toHex } from "../hex.ts";
import { name } from "./octets.ts";

const SEED = 5004;

/**
 * Names and values as dns-packet has them: it knows nothing of escapes, and takes an address of the IPv6 kind in any form.
 * Labels that repeat, so that there is something to compress.
 */
const host = fc
  .array(fc.constantFrom("a", "www", "Host", "example", "com", "x-1", "_tcp"), { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join("."));
const domain = host.map(name);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);
const octets = fc.uint8Array({ minLength: 1, maxLength: 30 });

const anyData: fc.Arbitrary<RecordData> = fc.oneof(
  fc.ipV4().map((address) => ({ kind: "A" as const, address })),
  fc.array(u16, { minLength: 8, maxLength: 8 }).map((groups) => ({
    // No run of zeros, which the two would not write alike.
    kind: "AAAA" as const,
    address: groups.map((group) => (group | 1).toString(16)).join(":"),
  })),
  fc
    .tuple(fc.constantFrom("NS" as const, "CNAME" as const, "PTR" as const), domain)
    .map(([kind, target]) => ({ kind, target })),
  fc.tuple(u16, domain).map(([preference, exchange]) => ({ kind: "MX" as const, preference, exchange })),
  fc
    .tuple(u16, u16, u16, domain)
    .map(([priority, weight, port, target]) => ({ kind: "SRV" as const, priority, weight, port, target })),
  fc.array(octets, { minLength: 1, maxLength: 3 }).map((strings) => ({ kind: "TXT" as const, strings })),
  fc
    .tuple(domain, domain, u32, u32, u32, u32, u32)
    .map(([primary, mailbox, serial, refresh, retry, expire, minimum]) => ({
      kind: "SOA" as const,
      primary,
      mailbox,
      serial,
      refresh,
      retry,
      expire,
      minimum,
    })),
  fc
    .tuple(fc.constantFrom(0, 128), fc.constantFrom("issue", "iodef"), fc.constantFrom("ca.example", "mailto:a@b"))
    .map(([flags, tag, value]) => ({ kind: "CAA" as const, flags, tag, value: new TextEncoder().encode(value) })),
);

const anyRecord: fc.Arbitrary<DnsRecord> = fc.tuple(domain, u32, anyData).map(([owner, ttl, data]) => ({
  name: owner,
  type: TYPE[data.kind as keyof typeof TYPE],
  class: CLASS.IN,
  ttl,
  data,
}));

const anyEdns: fc.Arbitrary<Edns> = fc
  .tuple(fc.integer({ min: 512, max: 4096 }), fc.boolean(), octets)
  .map(([udpOctets, dnssecOk, data]) => ({ udpOctets, version: 0, dnssecOk, options: [{ code: 65001, data }] }));

const anyMessage: fc.Arbitrary<Message> = fc.record({
  id: u16,
  response: fc.boolean(),
  opcode: fc.constant(0),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  authenticData: fc.boolean(),
  checkingDisabled: fc.boolean(),
  rcode: fc.nat(10),
  questions: fc.tuple(domain).map(([asked]) => [{ name: asked, type: TYPE.A, class: CLASS.IN }]),
  answers: fc.array(anyRecord, { maxLength: 6 }),
  authorities: fc.array(anyRecord, { maxLength: 3 }),
  additionals: fc.array(anyRecord, { maxLength: 3 }),
  edns: fc.option(anyEdns, { nil: null }),
});

/** Data as dns-packet has it. */
function theirs(data: RecordData): unknown {
  switch (data.kind) {
    case "A":
    case "AAAA":
      return data.address;
    case "NS":
    case "CNAME":
    case "PTR":
      return formatName(data.target);
    case "MX":
      return { preference: data.preference, exchange: formatName(data.exchange) };
    case "SRV":
      return { priority: data.priority, weight: data.weight, port: data.port, target: formatName(data.target) };
    case "TXT":
      return data.strings.map((each) => Buffer.from(each));
    case "SOA": {
      const { primary, mailbox, serial, refresh, retry, expire, minimum } = data;
      return { mname: formatName(primary), rname: formatName(mailbox), serial, refresh, retry, expire, minimum };
    }
    case "CAA": {
      const value = Buffer.from(data.value).toString();
      return { flags: data.flags, tag: data.tag, value, issuerCritical: (data.flags & 128) !== 0 };
    }
    case "SVCB":
    case "HTTPS":
    case "empty":
    case "opaque":
      return expect.unreachable();
  }
}

const sectionOf = (records: readonly DnsRecord[]): unknown[] =>
  records.map(({ name: owner, type, ttl, data }) => {
    return { name: formatName(owner), type: dnsTypeName(type), ttl, class: "IN", flush: false, data: theirs(data) };
  });

function dnsTypeName(type: number): string {
  return Object.entries(TYPE).find(([, value]) => value === type)?.[0] ?? "";
}

describe("dns-packet, which shares no code with us", () => {
  it("reads what we write as we meant it", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const read = dnsPacket.decode(Buffer.from(encodeMessage(message)));
        expect(read).toMatchObject({
          id: message.id,
          flag_qr: message.response,
          flag_aa: message.authoritative,
          flag_tc: message.truncated,
          flag_rd: message.recursionDesired,
          flag_ra: message.recursionAvailable,
          flag_ad: message.authenticData,
          flag_cd: message.checkingDisabled,
          questions: [{ name: formatName(message.questions[0]?.name ?? name(".")), type: "A", class: "IN" }],
        });
        expect(read.answers).toEqual(sectionOf(message.answers));
        expect(read.authorities).toEqual(sectionOf(message.authorities));
        const additionals = read.additionals ?? [];
        const opt = additionals.find((each) => each.type === "OPT");
        expect(additionals.filter((each) => each.type !== "OPT")).toEqual(sectionOf(message.additionals));
        expect(opt === undefined).toBe(message.edns === null);
        if (opt !== undefined && message.edns !== null) {
          expect(opt).toMatchObject({ udpPayloadSize: message.edns.udpOctets, flag_do: message.edns.dnssecOk });
        }
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("writes what we read as it was meant, and we write it again", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        // It writes no option that it does not know but as octets, and no name compressed.
        const bytes = dnsPacket.encode(dnsPacket.decode(Buffer.from(encodeMessage({ ...message, edns: null }))));
        const { message: read, tsig } = decodeMessage(bytes);
        expect(tsig).toBeNull();
        expect(read).toEqual({ ...message, edns: null });
        const again = encodeMessage(read);
        expect(again.length).toBeLessThanOrEqual(bytes.length);
        expect(toHex(again)).toBe(toHex(encodeMessage({ ...message, edns: null })));
      }),
      { seed: SEED + 1, numRuns: 300 },
    );
  });
});
