import { describe, expect, it } from "vitest";
import { nftErrorCode, nftErrorDisposition, nftErrorLine } from "../../../../src/protocols/nftables-json/error-code.ts";

/** As nft 1.0.6 printed them. */
const PRINTED: readonly (readonly [string, string])[] = [
  ["ENOENT", "Error: Could not process rule: No such file or directory\nadd element inet t s { 1.2.3.4 }\n^^^"],
  ["ENOENT", "internal:0:0-0: Error: No such file or directory\n"],
  ["EEXIST", "Error: Could not process rule: File exists\nadd element inet t s { 1 }\n"],
  ["EPERM", "Error: Could not process rule: Operation not permitted\ndelete table inet portreeve_anchor\n"],
  ["EPERM", "netlink: Error: cache initialization failed: Operation not permitted"],
  ["EBUSY", "Error: Could not process rule: Device or resource busy\ndelete set inet t s\n"],
  ["EOPNOTSUPP", "Error: Could not process rule: Operation not supported\nadd chain inet t c\n"],
  ["EINVAL", "/dev/stdin:1:1-3: Error: syntax error, unexpected string\nfoo\n^^^"],
  ["EINVAL", "internal:0:0-0: Error: Invalid map type 'ipv4_addr . inet_service'.\n"],
  ["ENOSPC", "Error: Could not process rule: Too many open files in system\n"],
  ["EMSGSIZE", "netlink: Error: Could not process rule: Message too long"],
  ["EIO", "spawn nft ENOENT-like text that says nothing"],
];

describe("nftErrorCode", () => {
  it.each(PRINTED)("is %s for %j", (code, text) => {
    expect(nftErrorCode(text)).toBe(code);
  });

  it("calls terminal only what another row must cure", () => {
    const terminal = new Set(PRINTED.map(([code]) => code).filter((code) => nftErrorDisposition(code) === "terminal"));
    expect([...terminal].sort()).toEqual(["EINVAL", "EOPNOTSUPP"]);
  });

  it("keeps the sentence for a person", () => {
    expect(nftErrorLine(PRINTED[1]?.[1] as string)).toBe("No such file or directory");
    expect(nftErrorLine("")).toBe("nft refused without a reason");
  });
});
