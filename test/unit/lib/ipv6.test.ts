import fc from "fast-check";
import { isIPv6 } from "node:net";
import { describe, expect, it } from "vitest";
import {
  formatIpv6,
  ipv6Contains,
  ipv6Network,
  ipv6Overlap,
  type Ipv6Prefix,
  isGlobalUnicastIpv6,
  isUniqueLocalIpv6,
  parseIpv6,
  parseIpv6Prefix,
} from "../../../src/lib/ipv6.ts";

describe("IPv6 text", () => {
  /** RFC 5952 §1 and §4, RFC 4291 §2.2. */
  it.each([
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0DB8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["fd00::10.59.7.2", "fd00::a3b:702"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ])("reads %s and writes %s", (text, canonical) => {
    expect(formatIpv6(parseIpv6(text) ?? [])).toBe(canonical);
  });

  it.each([
    "",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "g::",
    "12345::",
    "fe80::1%eth0",
    "1.2.3.4",
  ])("refuses %j", (text) => expect(parseIpv6(text)).toBeNull());

  it.each(["::1.2.3", "::1.2.3.256", "1.2.3.4::", "::1.2.3.4:1", "1:2:3:4:5:6:7:1.2.3.4"])("refuses %j", (text) =>
    expect(parseIpv6(text)).toBeNull(),
  );

  it("round-trips any address, and agrees with another parser on any text", () => {
    const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        expect(parseIpv6(formatIpv6(groups))).toEqual(groups);
        expect(isIPv6(formatIpv6(groups))).toBe(true);
      }),
    );
    const piece = fc.constantFrom("::", ":", "0", "1", "ffff", "fd00", "1.2.3.4", ".", "g", "00001");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        expect(parseIpv6(text) !== null, text).toBe(isIPv6(text));
      }),
      { numRuns: 5000 },
    );
  });
});

describe("IPv6 prefixes", () => {
  it.each([
    ["fd12:3456:789a:1::7/64", "fd12:3456:789a:1::/64"],
    ["fd12::ffff/127", "fd12::fffe/127"],
    ["fd12::ffff/128", "fd12::ffff/128"],
    ["ffff::/0", "::/0"],
    ["fdff:ffff::/9", "fd80::/9"],
  ])("%s is in the network %s", (text, network) => {
    const prefix = parseIpv6Prefix(text);
    expect(prefix && ipv6Network(prefix)).toBe(network);
  });

  it.each(["fd12::", "fd12::/129", "fd12::/", "fd12::/064", "fd12::/-1", "/64", "10.0.0.0/8"])("refuses %j", (text) =>
    expect(parseIpv6Prefix(text)).toBeNull(),
  );
});

describe("IPv6 networks", () => {
  const prefix = (text: string): Ipv6Prefix => parseIpv6Prefix(text) as Ipv6Prefix;

  it.each([
    ["2001:db8::/32", "2001:db8:5:1:59::/80", true, true],
    ["2001:db8:5:1:59::/80", "2001:db8::/32", false, true],
    ["2001:db8:5:1::7/64", "2001:db8:5:1::/64", true, true],
    ["2001:db8:5:1::/64", "2001:db8:5:2::/64", false, false],
    ["2001:db8:5:8000::/49", "2001:db8:5:ffff::1/128", true, true],
    ["2001:db8:5:8000::/49", "2001:db8:5:7fff::1/128", false, false],
    ["::/0", "fd00::/8", true, true],
  ])("%s and %s", (one, other, contains, overlap) => {
    expect([ipv6Contains(prefix(one), prefix(other)), ipv6Overlap(prefix(one), prefix(other))]).toEqual([
      contains,
      overlap,
    ]);
    expect(ipv6Overlap(prefix(other), prefix(one))).toBe(overlap);
  });

  it("are global, unique local (RFC 4193), or of no use to hosts elsewhere", () => {
    const kinds = [
      "2001:db8::/64",
      "3fff:1::/48",
      "fd12::/64",
      "fc00::/8",
      "fe80::/64",
      "ff02::/16",
      "::/96",
      "4000::/3",
    ];
    expect(kinds.filter((text) => isGlobalUnicastIpv6(prefix(text)))).toEqual(["2001:db8::/64", "3fff:1::/48"]);
    expect(kinds.filter((text) => isUniqueLocalIpv6(prefix(text)))).toEqual(["fd12::/64", "fc00::/8"]);
  });
});
