import { describe, expect, it } from "vitest";
import { parseUpstream, resolvConfServers, upstreamsFault, upstreamText } from "../../../src/lib/dns-upstream.ts";

const shown = (text: string): string | null => {
  const parsed = parseUpstream(text);
  return "fault" in parsed ? null : `${parsed.upstream.domains.join("/")}|${upstreamText(parsed.upstream.server)}`;
};

describe("an upstream", () => {
  it.each([
    ["9.9.9.9", "|9.9.9.9"],
    ["9.9.9.9:53", "|9.9.9.9"],
    ["9.9.9.9:5353", "|9.9.9.9:5353"],
    ["2620:FE::fe", "|2620:fe::fe"],
    ["[2620:fe::fe]:5353", "|[2620:fe::fe]:5353"],
    ["fe80::1%lan0", "|fe80::1%lan0"],
    ["tls://9.9.9.9#dns.quad9.net", "|tls://9.9.9.9#dns.quad9.net"],
    ["tls://[2620:fe::fe]:8853#dns.quad9.net", "|tls://[2620:fe::fe]:8853#dns.quad9.net"],
    ["tls://1.1.1.1", "|tls://1.1.1.1#1.1.1.1"],
    ["https://dns.quad9.net/dns-query#9.9.9.9", "|https://dns.quad9.net/dns-query#9.9.9.9"],
    ["https://1.1.1.1/dns-query", "|https://1.1.1.1/dns-query#1.1.1.1"],
    ["https://[2620:fe::fe]:8443/dns-query", "|https://[2620:fe::fe]:8443/dns-query#2620:fe::fe"],
    ["system", "|system"],
    ["[/corp.Example./10.in-addr.arpa/]10.0.0.1", "corp.example/10.in-addr.arpa|10.0.0.1"],
    ["[/corp.example/]tls://10.0.0.1#ns.corp.example", "corp.example|tls://10.0.0.1#ns.corp.example"],
  ])("%s is understood", (text, as) => {
    expect(shown(text)).toBe(as);
    // What is shown means the same again.
    expect(shown(as.slice(as.indexOf("|") + 1))).toBe(`|${as.slice(as.indexOf("|") + 1)}`);
  });

  it.each([
    ["", "it has to be an address"],
    ["9.9.9", "it has to be an address"],
    ["9.9.9.9:0", "it has to be an address"],
    ["9.9.9.9:70000", "it has to be an address"],
    ["dns.quad9.net", "give its address"],
    ["udp://9.9.9.9", "write 9.9.9.9"],
    ["quic://9.9.9.9", "a kind that is not known"],
    ["tls://dns.quad9.net", "tls://ADDRESS#dns.quad9.net"],
    ["tls://9.9.9.9#", "needs the name of the certificate"],
    ["tls://9.9.9.9#a#b", "needs the name of the certificate"],
    ["https://dns.quad9.net/dns-query", "https://dns.quad9.net/dns-query#ADDRESS"],
    ["https://dns.quad9.net#9.9.9.9", "https://dns.quad9.net/dns-query#9.9.9.9"],
    ["https://me:secret@dns.quad9.net/dns-query#9.9.9.9", "is no URL of a resolver"],
    ["[/corp.example]10.0.0.1", 'needs "/]"'],
    ["[/corp..example/]10.0.0.1", '"corp..example" is no domain'],
    ["[//]10.0.0.1", '"" is no domain'],
  ])("%s is refused with the fix", (text, fix) => {
    expect(parseUpstream(text)).toEqual({ fault: expect.stringContaining(fix) });
  });

  it("a list needs one for all names", () => {
    expect(upstreamsFault(["[/corp.example/]10.0.0.1"])).toContain("add one without");
    expect(upstreamsFault(["[/corp.example/]10.0.0.1", "system"])).toBeNull();
    expect(upstreamsFault(["9.9.9.9", "nonsense!"])).toContain("nonsense!");
    expect(upstreamsFault([])).not.toBeNull();
  });
});

describe("resolv.conf", () => {
  it("gives its servers once each, without those of this host", () => {
    const text = [
      "# nameserver 8.8.8.8",
      "search lan",
      "nameserver 127.0.0.53",
      "nameserver 9.9.9.9 ",
      "\tnameserver\t2620:FE::fe",
      "nameserver 9.9.9.9",
      "nameserver ::1",
      "nameserver fe80::1%eth0",
      "nameserver what",
      "options edns0",
    ].join("\n");
    expect(resolvConfServers(text)).toEqual(["9.9.9.9", "2620:fe::fe", "fe80::1%eth0"]);
  });
});
