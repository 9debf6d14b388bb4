import { createHmac, hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { DnsUpdate } from "../../../../src/lib/dns-record.ts";
import { CLASS, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import { tsigKey, verifyRequest } from "../../../../src/protocols/dns/tsig.ts";
import { UPDATE_KEY_NAME, updateKeyOf } from "../../../../src/protocols/dns/tsig-key.ts";
import { DnsUpdateError, leaseOption, readUpdate, UPDATE_RECORDS_MAX } from "../../../../src/protocols/dns/update.ts";
import { concat, hex } from "../hex.ts";
import { message, question, record, string, u16, u32, UPDATE, wire } from "./octets.ts";

const ZONE = question("Example.test", TYPE.SOA);
const A = hex("0a000001");
const opt = (data: Uint8Array): Uint8Array => record({ owner: ".", type: TYPE.OPT, class: 1232, data });

function update(
  prerequisites: Uint8Array[],
  changes: Uint8Array[],
  additionals: Uint8Array[] = [],
  zones = [ZONE],
): DnsUpdate {
  const bytes = message({ flags: UPDATE, sections: [zones, prerequisites, changes, additionals] });
  return readUpdate(decodeMessage(bytes).message);
}

function rcode(...sections: Parameters<typeof update>): string {
  try {
    update(...sections);
    return "NOERROR";
  } catch (error) {
    if (error instanceof DnsUpdateError) return error.rcode;
    throw error;
  }
}

const on = (owner: string, type: number, recordClass: number, data?: Uint8Array, ttl = 0): Uint8Array =>
  record({ owner: `${owner}.example.test`, type, class: recordClass, ttl, ...(data === undefined ? {} : { data }) });

describe("the zone section of an UPDATE", () => {
  it.each([
    ["no zone", []],
    ["two zones", [ZONE, ZONE]],
    ["a type that is not SOA", [question("example.test", TYPE.A)]],
    ["type ANY", [question("example.test", TYPE.ANY)]],
  ])("[dns U6] with %s is FORMERR", (_, zones) => expect(rcode([], [], [], zones)).toBe("FORMERR"));

  it("[dns U7] of another class than IN is NOTIMP; which zone it is, is not for us to judge", () => {
    expect(rcode([], [], [], [question("example.test", TYPE.SOA, CLASS.CH)])).toBe("NOTIMP");
    expect(update([], []).zone).toBe("example.test");
    expect(update([], [], [], [question(".", TYPE.SOA)]).zone).toBe(".");
  });
});

describe("the prerequisites of an UPDATE", () => {
  it.each([
    ["U9", CLASS.ANY, TYPE.ANY, { kind: "name-in-use" }],
    ["U10", CLASS.ANY, TYPE.A, { kind: "rrset-exists", type: "A" }],
    ["U11", CLASS.NONE, TYPE.ANY, { kind: "name-not-in-use" }],
    ["U12", CLASS.NONE, TYPE.TXT, { kind: "rrset-absent", type: "TXT" }],
  ])("[dns %s] of class %i and type %i", (_, recordClass, type, expected) => {
    expect(update([on("X", type, recordClass)], []).prerequisites).toEqual([{ name: "x.example.test", ...expected }]);
  });

  it("[dns U13 U16] that name values are gathered by name and type, and come after all the others", () => {
    const { prerequisites } = update(
      [
        on("b", TYPE.A, CLASS.IN, A),
        on("a", TYPE.CNAME, CLASS.IN, wire("WWW.x")),
        on("c", TYPE.A, CLASS.NONE),
        on("B", TYPE.A, CLASS.IN, hex("0a000002")),
        on("a", TYPE.CNAME, CLASS.IN, wire("www.X")),
        on("b", TYPE.A, CLASS.IN, A),
      ],
      [],
    );
    expect(prerequisites).toEqual([
      { kind: "rrset-absent", name: "c.example.test", type: "A" },
      { kind: "rrset-equals", name: "b.example.test", type: "A", values: ["10.0.0.1", "10.0.0.2"] },
      { kind: "rrset-equals", name: "a.example.test", type: "CNAME", values: ["www.X"] },
    ]);
  });

  it.each([
    ["class ANY", on("x", TYPE.A, CLASS.ANY, undefined, 1)],
    ["class NONE", on("x", TYPE.A, CLASS.NONE, undefined, 1)],
    ["class IN", on("x", TYPE.A, CLASS.IN, A, 1)],
  ])("[dns U9 to U13] of %s with a TTL are FORMERR", (_, each) => expect(rcode([each], [])).toBe("FORMERR"));

  it.each([CLASS.ANY, CLASS.NONE])("[dns U14] of class %i with data are FORMERR", (recordClass) => {
    expect(rcode([on("x", TYPE.A, recordClass, A)], [])).toBe("FORMERR");
  });

  it.each([
    ["class CH", on("x", TYPE.A, CLASS.CH)],
    ["type AXFR", on("x", TYPE.AXFR, CLASS.ANY)],
    ["type ANY with the zone's class", on("x", TYPE.ANY, CLASS.IN)],
  ])("of %s are FORMERR", (_, each) => expect(rcode([each], [])).toBe("FORMERR"));

  it("[dns U17] outside of the zone are NOTZONE when their turn comes", () => {
    const outside = record({ owner: "other.test", type: TYPE.ANY, class: CLASS.ANY });
    expect(update([on("x", TYPE.ANY, CLASS.ANY), outside], []).prerequisites).toEqual([
      { kind: "name-in-use", name: "x.example.test" },
      { kind: "outside", name: "other.test" },
    ]);
  });

  it("[dns U18] ask for a wildcard by its letters", () => {
    expect(update([on("*", TYPE.ANY, CLASS.ANY)], []).prerequisites).toEqual([
      { kind: "name-in-use", name: "*.example.test" },
    ]);
  });
});

describe("the changes of an UPDATE", () => {
  it("[dns U35] are in the order of the message", () => {
    expect(
      update(
        [],
        [
          on("X", TYPE.ANY, CLASS.ANY),
          on("x", TYPE.TXT, CLASS.ANY),
          on("x", TYPE.CNAME, CLASS.NONE, wire("Y.test")),
          on("x", TYPE.TXT, CLASS.IN, concat(string("a b"), string('"')), 120),
          on("x", 65280, CLASS.IN, hex("00ff"), 5),
        ],
      ).changes,
    ).toEqual([
      { kind: "delete-name", name: "x.example.test" },
      { kind: "delete-rrset", name: "x.example.test", type: "TXT" },
      { kind: "delete-value", name: "x.example.test", type: "CNAME", value: "Y.test" },
      { kind: "add", name: "x.example.test", type: "TXT", ttl: 120, value: '"a b" "\\""' },
      // U25: a type that nobody knows is stored as octets.
      { kind: "add", name: "x.example.test", type: "TYPE65280", ttl: 5, value: "\\# 2 00ff" },
    ]);
  });

  it("[dns U20] outside of the zone are NOTZONE, and so is all of it", () => {
    const outside = record({ owner: "xexample.test", type: TYPE.A, data: A });
    expect(rcode([], [on("x", TYPE.A, CLASS.IN, A), outside])).toBe("NOTZONE");
  });

  it.each(["ANY", "AXFR", "IXFR", "MAILA", "MAILB", "TKEY"] as const)("[dns U21] of type %s are FORMERR", (type) => {
    expect(rcode([], [on("x", TYPE[type], CLASS.IN, hex("00"))])).toBe("FORMERR");
  });

  it.each([
    ["a TTL", on("x", TYPE.A, CLASS.ANY, undefined, 1)],
    ["data", on("x", TYPE.A, CLASS.ANY, A)],
    ["a type that is not stored", on("x", TYPE.AXFR, CLASS.ANY)],
  ])("[dns U22] of class ANY with %s are FORMERR", (_, each) => expect(rcode([], [each])).toBe("FORMERR"));

  it.each([
    ["a TTL", on("x", TYPE.A, CLASS.NONE, A, 1)],
    ["type ANY", on("x", TYPE.ANY, CLASS.NONE, A)],
    ["type IXFR", on("x", TYPE.IXFR, CLASS.NONE, A)],
    ["an A record of no octets", on("x", TYPE.A, CLASS.NONE)],
    ["an RP record of no octets", on("x", TYPE.RP, CLASS.NONE)],
  ])("[dns U23] of class NONE with %s are FORMERR", (_, each) => expect(rcode([], [each])).toBe("FORMERR"));

  it("[dns U23] of class NONE and an unknown type may name the value of no octets", () => {
    expect(update([], [on("x", 65280, CLASS.NONE)]).changes).toEqual([
      { kind: "delete-value", name: "x.example.test", type: "TYPE65280", value: "\\# 0" },
    ]);
  });

  it("[dns U24] of another class are FORMERR", () => {
    expect(rcode([], [on("x", TYPE.A, CLASS.HS, A)])).toBe("FORMERR");
  });

  it("[dns U26] keep a TTL of 32 bits, for whoever sets its bounds", () => {
    expect(update([], [on("x", TYPE.A, CLASS.IN, A, 0x8000_0000)]).changes).toMatchObject([{ ttl: 0x8000_0000 }]);
  });

  it("[dns U4] are looked through together with the prerequisites, before either counts", () => {
    const outside = record({ owner: "other.test", type: TYPE.ANY, class: CLASS.ANY });
    expect(rcode([outside], [on("x", TYPE.AXFR, CLASS.IN, hex(""))])).toBe("FORMERR");
    expect(rcode([on("x", TYPE.A, CLASS.CH)], [outside])).toBe("FORMERR");
  });

  it("[dns U5] are bounded in number", () => {
    const many = Array.from({ length: UPDATE_RECORDS_MAX }, () => on("x", TYPE.A, CLASS.ANY));
    expect(rcode([], many)).toBe("NOERROR");
    expect(rcode([on("x", TYPE.A, CLASS.ANY)], many)).toBe("REFUSED");
    const deep = Array.from({ length: 300 }, () => on("a.".repeat(50) + "x", TYPE.A, CLASS.ANY));
    expect([rcode([], deep.slice(0, 200)), rcode([], deep), rcode(deep, [])]).toEqual([
      "NOERROR",
      "REFUSED",
      "REFUSED",
    ]);
  });
});

describe("the lease of an UPDATE (RFC 9664)", () => {
  it("is what was asked for, if anything was", () => {
    expect(update([], []).lease).toBeNull();
    expect(update([], [], [opt(concat(u16(2, 4), u32(7200)))]).lease).toBe(7200);
    expect(update([], [], [opt(concat(u16(2, 8), u32(7200), u32(9000)))]).lease).toBe(7200);
  });

  it("is FORMERR of any other length", () => {
    expect(rcode([], [], [opt(concat(u16(2, 2), u16(1)))])).toBe("FORMERR");
  });

  it("is answered as it was granted", () => {
    expect(leaseOption(7200)).toEqual({ code: 2, data: u32(7200) });
  });
});

describe("what a StartOS device sends", () => {
  const PSK = new Uint8Array(32).fill(1);
  const NOW = 1_764_080_000;
  const SECRET = Buffer.from(hkdfSync("sha256", PSK, "", "startos-dns-update-v1", 32));

  /** No prerequisites; the zone is the parent of the name; signed with the key of that name, fudge 300. */
  function fromStartOs(change: Uint8Array): Uint8Array {
    const unsigned = message({
      id: 0x5741,
      flags: UPDATE,
      sections: [[question("example.com", TYPE.SOA)], [], [change]],
    });
    const timers = concat(u16(0, Math.floor(NOW / 65536), NOW % 65536), u16(300));
    const variables = concat(wire("startos-dns-update"), u16(255, 0, 0), wire("hmac-sha256"), timers, u16(0, 0));
    const mac = createHmac("sha256", SECRET).update(concat(unsigned, variables)).digest();
    const data = concat(wire("hmac-sha256"), timers, u16(32), mac, u16(0x5741, 0, 0));
    unsigned[11] = 1;
    return concat(unsigned, record({ owner: "startos-dns-update", type: TYPE.TSIG, class: CLASS.ANY, data }));
  }

  it.each([
    [
      "its record out",
      record({ owner: "photos.example.com", type: TYPE.A, class: CLASS.ANY }),
      [{ kind: "delete-rrset", name: "photos.example.com", type: "A" }],
    ],
    [
      "its record in",
      record({ owner: "photos.example.com", type: TYPE.A, ttl: 300, data: hex("0a3b0702") }),
      [{ kind: "add", name: "photos.example.com", type: "A", ttl: 300, value: "10.59.7.2" }],
    ],
  ])("takes %s, and is verified with the key of its preshared key", (_, change, changes) => {
    const bytes = fromStartOs(change);
    const { message: read, tsig } = decodeMessage(bytes);
    const key = tsigKey(UPDATE_KEY_NAME.key, updateKeyOf(PSK)?.secret ?? hex(""));
    expect(verifyRequest(bytes, tsig, (each) => (each === key.name ? key : null), NOW).kind).toBe("verified");
    expect(readUpdate(read)).toEqual({ zone: "example.com", prerequisites: [], changes, lease: null });
    expect(encodeMessage(read).length).toBeLessThan(bytes.length);
  });
});
