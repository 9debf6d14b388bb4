import { describe, expect, it } from "vitest";
import { crc32c } from "../../../../../src/events/leveldb/files/crc32c.ts";

describe("crc32c", () => {
  it("gives the values of RFC 3720 appendix B.4 and of the usual check string", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index))).toBe(0x113fdb5c);
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  });

  it("looks at the part it is asked about", () => {
    expect(crc32c(new TextEncoder().encode("xx123456789x"), 2, 11)).toBe(0xe3069283);
  });
});
