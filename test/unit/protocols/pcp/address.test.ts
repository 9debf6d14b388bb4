import { isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readAddress, writeAddress } from "../../../../src/protocols/pcp/address.ts";
import { hex, toHex } from "../hex.ts";

const read = (text: string): string => readAddress(new DataView(hex(text).buffer), 0);
const write = (text: string): string => {
  const bytes = new Uint8Array(16);
  writeAddress(new DataView(bytes.buffer), 0, text);
  return toHex(bytes);
};

describe("PCP addresses", () => {
  it("takes only the whole 96-bit prefix for IPv4-mapped", () => {
    expect(read("00000000 00000000 0000ffff c0a84d02")).toBe("192.168.77.2");
    expect(read("00000000 00000001 0000ffff c0a84d02")).toBe("::1:0:ffff:c0a8:4d02");
    expect(read("00000000 00000000 ffffffff c0a84d02")).toBe("::ffff:ffff:c0a8:4d02");
  });

  it("writes IPv6 as RFC 5952 §4 has it", () => {
    expect(read("20010db8 00000000 00010000 00000001")).toBe("2001:db8::1:0:0:1");
    expect(read("20010db8 00000001 00010001 00010001")).toBe("2001:db8:0:1:1:1:1:1");
    expect(read("00000000 00000000 00000000 00000000")).toBe("::");
    expect(read("fe800000 00000000 00000000 00000000")).toBe("fe80::");
    expect(read("00000000 00000000 00000000 00000001")).toBe("::1");
  });

  it("gives back any 16 octets through their text, which the platform takes for an address", () => {
    const octets = fc.array(fc.oneof(fc.constant(0), fc.constant(0xff), fc.nat(255)), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(octets, (bytes) => {
        const before = toHex(Uint8Array.from(bytes));
        const text = read(before);
        expect(write(text)).toBe(before);
        if (text.includes(":")) expect(isIPv6(text)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
