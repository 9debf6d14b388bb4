import { describe, expect, it } from "vitest";
import { ByteReader, unsnappy } from "../../../../../src/events/leveldb/files/bytes.ts";

const bytes = (...parts: (number[] | string)[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe("ByteReader", () => {
  it("reads varints of any length, and strings after theirs", () => {
    const reader = new ByteReader(bytes([0x00, 0x7f, 0x80, 0x01, 0xac, 0x02, 0xff, 0xff, 0xff, 0xff, 0x0f, 3], "abc"));
    expect([reader.varint(), reader.varint(), reader.varint(), reader.varint()]).toEqual([0, 127, 128, 300]);
    expect(reader.varint()).toBe(0xffffffff);
    expect(reader.string().toString()).toBe("abc");
    expect(reader.atEnd).toBe(true);
    expect(() => reader.varint()).toThrow(RangeError);
  });
});

describe("unsnappy", () => {
  it("puts out literals and copies, also copies that overlap themselves", () => {
    expect(unsnappy(bytes([3, 2 << 2], "abc")).toString()).toBe("abc");
    // A copy with a 1-byte offset: tag 01, length 4 to 11.
    expect(unsnappy(bytes([11, 2 << 2], "abc", [(4 << 2) | 1, 3])).toString()).toBe("abcabcabcab");
    // With a 2-byte offset: tag 10, length 1 to 64.
    expect(unsnappy(bytes([24, 3 << 2], "abcd", [(19 << 2) | 2, 4, 0])).toString()).toBe("abcd".repeat(6));
    // With a 4-byte offset: tag 11.
    expect(unsnappy(bytes([5, 3 << 2], "abcd", [3, 4, 0, 0, 0])).toString()).toBe("abcda");
    // A literal whose length, less one, stands in the byte after the tag.
    expect(unsnappy(bytes([100, 60 << 2, 99], "x".repeat(100))).toString()).toBe("x".repeat(100));
  });

  it.each([
    ["a copy from before the beginning", bytes([8, 3 << 2], "abcd", [1, 5])],
    ["a copy from nowhere", bytes([8, 3 << 2], "abcd", [1, 0])],
    ["more than it announced", bytes([2, 2 << 2], "abc")],
    ["less than it announced", bytes([4, 2 << 2], "abc")],
    ["a literal cut short", bytes([3, 2 << 2], "ab")],
  ])("refuses %s", (_, input) => {
    expect(() => unsnappy(input)).toThrow(RangeError);
  });
});
