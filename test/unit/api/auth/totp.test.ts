import { describe, expect, it } from "vitest";
import { base32, matchingStep, otpauthUri, totpCode, totpStep } from "../../../../src/api/auth/totp.ts";

/** RFC 6238 Appendix B, SHA-1: the secret is the ASCII text, codes have eight digits. */
const SECRET = new TextEncoder().encode("12345678901234567890");
const VECTORS: readonly (readonly [number, string])[] = [
  [59, "94287082"],
  [1111111109, "07081804"],
  [1111111111, "14050471"],
  [1234567890, "89005924"],
  [2000000000, "69279037"],
  [20000000000, "65353130"],
];
/** RFC 4226 Appendix D: counters 0 to 9. */
const HOTP = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split(" ");

describe("time-based codes", () => {
  it.each(VECTORS)("[A3] are those of RFC 6238 at %i s", (seconds, code) => {
    expect(totpCode(SECRET, totpStep(seconds * 1000), 8)).toBe(code);
    expect(totpCode(SECRET, totpStep(seconds * 1000)), "the six digits that apps show").toBe(code.slice(-6));
  });

  it("are those of RFC 4226 by counter", () => {
    expect(HOTP.map((_, counter) => totpCode(SECRET, counter))).toEqual(HOTP);
  });

  it("fit one step early and late, and no further", () => {
    const now = 1_111_111_111_000;
    const step = totpStep(now);
    const fits = (offset: number) => matchingStep(SECRET, totpCode(SECRET, step + offset), now, 0);
    expect([-2, -1, 0, 1, 2].map(fits)).toEqual([null, step - 1, step, step + 1, null]);
    for (const code of ["", "12345", "1234567", "abcdef"]) expect(matchingStep(SECRET, code, now, 0), code).toBeNull();
  });

  it("are worth nothing once a code of the same or a later step was seen", () => {
    const now = 1_111_111_111_000;
    const step = totpStep(now);
    const code = totpCode(SECRET, step);
    expect(matchingStep(SECRET, code, now, step - 1)).toBe(step);
    expect(matchingStep(SECRET, code, now, step)).toBeNull();
    expect(matchingStep(SECRET, totpCode(SECRET, step - 1), now, step)).toBeNull();
  });

  it("base32 is that of RFC 4648 §10 without padding", () => {
    const texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
    const encoded = ["", "MY", "MZXQ", "MZXW6", "MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI"];
    expect(texts.map((text) => base32(new TextEncoder().encode(text)))).toEqual(encoded);
    const uri = new URL(otpauthUri(SECRET, "gw 1"));
    expect(uri.searchParams.get("secret")).toBe("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    expect(decodeURIComponent(uri.pathname)).toContain("Portreeve:gw 1");
  });
});
