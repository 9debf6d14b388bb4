import { describe, expect, it } from "vitest";
import { forwardsSkeleton } from "../../../../src/adapters/nftables/forwards-skeleton.ts";
import { anchorSkeleton, guardSkeleton } from "../../../../src/adapters/nftables/guard-skeleton.ts";
import { interfaces, type Skeleton } from "../../../../src/adapters/nftables/skeleton.ts";
import { FakeRuleset } from "../../../../src/protocols/nftables-json/fake.ts";

const instanceId = "0011223344556677";
const COMBINATIONS = [
  [["wan0"], ["lan0", "lan1"]],
  [["wan0", "wan1"], []],
  [[], ["lan0"]],
  [[], []],
] as const;
const forwards = (wans: readonly string[], lans: readonly string[]): Skeleton =>
  forwardsSkeleton({ kind: "skeleton", instanceId, wans, lans, ...(lans[0] !== undefined && { tunnel: lans[0] }) });
const guard = (wans: readonly string[], lans: readonly string[]): Skeleton =>
  guardSkeleton({ kind: "guard", instanceId, wans, lans, requestsPerSecond: 50 });

describe("skeletons", () => {
  it.each(COMBINATIONS)("are transactions the kernel's rules accept, twice, with WANs %j and LANs %j", (wans, lans) => {
    for (const { text } of [forwards(wans, lans), guard(wans, lans), anchorSkeleton(instanceId)]) {
      const kernel = new FakeRuleset();
      expect(kernel.run(text)).toBeNull();
      const once = kernel.dump();
      expect(kernel.run(text)).toBeNull();
      expect(kernel.dump()).toBe(once);
    }
  });

  it("[W5] send flows out by several WANs, and keep the bits of the mark that are others'", () => {
    const row = { kind: "skeleton", instanceId, wans: ["wan0", "wan1"], lans: ["lan0"] } as const;
    const several = forwardsSkeleton({ ...row, vias: [3, 63], usualVia: 3 });
    const kernel = new FakeRuleset();
    expect(kernel.run(several.text)).toBeNull();
    const marks = several.text.split("\n").filter((line) => /(?:ct|meta) mark set/.test(line));
    expect(marks.length).toBeGreaterThan(6);
    for (const line of marks) expect(line).toMatch(/mark set (ct|meta) mark (?:& 0x0[3-9a-f]ffffff|& 0xfeffffff|\|)/);
    expect(several.text).toContain("meta mark set meta mark & 0x03ffffff | 0xfc000000");
    // With one WAN nothing of it is there.
    const single = forwardsSkeleton({ ...row, wans: ["wan0"] });
    expect(single.chains.filter((name) => /via|leaving|arriving|own/.test(name))).toEqual([]);
    expect(single.text).not.toMatch(/meta mark|vmap/);
  });

  it("keep here what targets answer our own proxy's clients, while there is one", () => {
    const row = { kind: "skeleton", instanceId, wans: ["wan0", "wan1"], lans: ["lan0"], vias: [1, 2] } as const;
    const proxied = forwardsSkeleton({ ...row, proxied: true });
    expect(new FakeRuleset().run(proxied.text)).toBeNull();
    expect(proxied.text).toContain("returning { type filter hook prerouting priority -150; policy accept; }");
    expect(proxied.text).toMatch(
      /returning iifname \{ "lan0" \} .*socket transparent 1 socket wildcard 0 meta mark set/,
    );
    for (const without of [forwardsSkeleton(row), forwardsSkeleton({ ...row, lans: [], proxied: true })]) {
      expect(without.chains).not.toContain("returning");
    }
  });

  it("let nobody reach our own proxy but by what is DNATed to it", () => {
    const rules = guard(["wan0"], ["lan0"])
      .text.split("\n")
      .filter((line) => line.includes("guard input "));
    const at = (part: string): number => rules.findIndex((rule) => rule.includes(part));
    expect(at("tcp dport { 60443, 60080 } drop")).toBeGreaterThan(at("ct status dnat accept"));
  });

  it("name every chain and set they make", () => {
    for (const skeleton of [forwards(["wan0"], ["lan0"]), guard(["wan0"], ["lan0"]), anchorSkeleton(instanceId)]) {
      const made = [...skeleton.text.matchAll(/^add (chain|set|map) inet \S+ (\S+)/gm)].map(([, , name]) => name);
      expect(new Set([...skeleton.chains, ...skeleton.sets])).toEqual(new Set(made));
    }
  });

  it("change elements of nothing but the instance mark", () => {
    for (const { text } of [forwards(["wan0"], ["lan0"]), guard(["wan0"], ["lan0"])]) {
      const touched = [...text.matchAll(/^(?:flush set|flush map|add element|delete) .*$/gm)].map(([line]) => line);
      expect(touched.every((line) => / instance\b/.test(line))).toBe(true);
    }
  });

  it("never let an IPv6 packet meet an IPv4 map", () => {
    const rules = forwards(["wan0"], ["lan0"])
      .text.split("\n")
      .filter((line) => line.startsWith("add rule"));
    const mapped = rules.filter((rule) => / map @| th sport @/.test(rule) && !rule.includes("ip6 saddr . th sport @"));
    expect(mapped.length).toBeGreaterThan(3);
    expect(mapped.every((rule) => rule.includes("meta nfproto ipv4"))).toBe(true);
  });

  it("[W7] let nobody begin an IPv6 flow to a tunnel but who is served, nor borrow an address of it", () => {
    const rules = forwards([], ["wg0", "lan0"])
      .text.split("\n")
      .flatMap((line) => /^add rule inet portreeve forward (.*)/.exec(line)?.[1] ?? []);
    const at = (part: string): number => rules.findIndex((rule) => rule.includes(part));
    const forged = at('iifname != "wg0" fib saddr oifname "wg0" drop');
    const [flows, errors, echo] = [at("established,related accept"), at("packet-too-big"), at("echo-request limit")];
    const refused = at('meta nfproto ipv6 oifname "wg0" iifname != { "wg0", "lan0" } drop');
    const order = [forged, flows, errors, echo, refused];
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(at("ip6 saddr fc00::/7 reject")).toBeGreaterThan(flows);
    expect(guard(["wan0"], ["lan0"]).text).toMatch(/nd-neighbor-solicit accept\n.*fib daddr \. iif type/);
  });

  it("filter nothing while nothing is served", () => {
    expect(forwards(["wan0"], []).text).not.toMatch(/add rule .*(?<!severed.*)oifname .* drop$/m);
  });

  it("close HAProxy's own ports, and nothing else, while nothing is served", () => {
    const dropping = guard(["wan0"], []).text.match(/(?:prerouting|output|input) .*drop$/gm);
    expect(dropping).toEqual([expect.stringMatching(/input tcp dport \{ 60443, 60080 \} drop$/)]);
  });

  it("refuse an interface name that could leave its quotes", () => {
    expect(() => interfaces(['lan0", "x'])).toThrow(/checked where they came in/);
    expect(() => forwards(["wan0; flush ruleset"], [])).toThrow();
    expect(() => interfaces([])).toThrow(/empty set/);
  });
});
