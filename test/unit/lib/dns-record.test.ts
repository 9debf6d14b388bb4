import { describe, expect, it } from "vitest";
import { sameValue } from "../../../src/lib/dns-record.ts";

describe("[dns U31] values of records are compared", () => {
  it.each([
    ["CNAME", "WWW.Example", "www.example"],
    ["MX", "10 Mail.example", "10 mail.example"],
    ["SRV", "0 0 443 A.example", "0 0 443 a.example"],
    ["SOA", "NS.example Admin.example 1 2 3 4 5", "ns.example admin.example 1 2 3 4 5"],
    ["HTTPS", '1 A.example alpn="h2"', '1 a.example alpn="h2"'],
    ["HTTPS", "0 A.example", "0 a.example"],
    ["TXT", '"a"', '"a"'],
  ])("%s: %s and %s are the same", (type, a, b) => expect(sameValue(type, a, b)).toBe(true));

  it.each([
    ["CNAME", "a.example", "b.example"],
    ["TXT", '"A"', '"a"'],
    ["CAA", '0 issue "CA.example"', '0 issue "ca.example"'],
    ["HTTPS", '1 a.example alpn="H2"', '1 a.example alpn="h2"'],
    ["TYPE65280", "\\# 1 aa", "\\# 1 ab"],
    ["constructor", "A", "a"],
  ])("%s: %s and %s are not", (type, a, b) => expect(sameValue(type, a, b)).toBe(false));
});
