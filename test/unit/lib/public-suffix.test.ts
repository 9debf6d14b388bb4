import { describe, expect, it } from "vitest";
import { isPublicSuffix } from "../../../src/lib/public-suffix.ts";

describe("a public suffix", () => {
  it.each(["com", "de", "dev", "co.uk", "com.au", "or.jp", "org.nz", "gv.at"])("is %s", (name) => {
    expect(isPublicSuffix(name)).toBe(true);
  });

  it.each(["internal", "lan", "home", "example.com", "home.arpa", "example.co.uk", "uk.com", "or.de", "go.it"])(
    "is not %s",
    (name) => expect(isPublicSuffix(name)).toBe(false),
  );
});
