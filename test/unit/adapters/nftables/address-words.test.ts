import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytesOfWords,
  prefixLengthBetween,
  readWords,
  textOfWords,
  wordsOf,
} from "../../../../src/adapters/nftables/address-words.ts";
import { formatIpv6, ipv6Network } from "../../../../src/lib/ipv6.ts";

const groups = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 });

describe("IPv6 addresses as words", () => {
  it("read back as they were, as text and as bytes", () => {
    fc.assert(
      fc.property(groups, (each) => {
        const text = formatIpv6(each);
        const words = wordsOf(text);
        expect(textOfWords(words)).toBe(text);
        expect(readWords(bytesOfWords(words), 0)).toEqual(words);
      }),
    );
    expect(wordsOf("2001:db8::ffff:1")).toEqual([0x20010db8, 0, 0, 0xffff0001]);
  });

  it("know a network by its first and last address", () => {
    fc.assert(
      fc.property(groups, fc.nat(128), (each, length) => {
        const [network = ""] = ipv6Network({ groups: each, length }).split("/");
        const first = wordsOf(network);
        // All bits behind the prefix set, word by word.
        const last = first.map((word, index) => {
          const host = Math.min(32, Math.max(0, (index + 1) * 32 - length));
          return host === 32 ? 0xffffffff : (word | (2 ** host - 1)) >>> 0;
        });
        expect(prefixLengthBetween(first, last as unknown as typeof first)).toBe(length);
      }),
    );
    expect(prefixLengthBetween(wordsOf("2001:db8::1"), wordsOf("2001:db8::2"))).toBeNull();
    expect(prefixLengthBetween(wordsOf("2001:db8::1"), wordsOf("2001:db8::"))).toBeNull();
  });
});
