import { describe, expect, it } from "vitest";
import { decodeFilterChains } from "../../../../src/protocols/nftables-json/filter-chain.ts";
import { NftablesJsonError } from "../../../../src/protocols/nftables-json/listing.ts";

const CHAIN = { family: "inet", table: "t", name: "c" };

function rules(...expressions: readonly unknown[][]) {
  const nftables = [
    { chain: { ...CHAIN, handle: 1, type: "filter", hook: "input", prio: 0, policy: "drop" } },
    ...expressions.map((expr, index) => ({
      rule: { family: "inet", table: "t", chain: "c", handle: index + 2, expr },
    })),
  ];
  return decodeFilterChains(JSON.stringify({ nftables }))[0]?.rules.map(({ text, matches, verdict }) => {
    return { text, unknown: matches.some(({ field }) => field === "unknown"), verdict };
  });
}

const match = (left: unknown, right: unknown, op = "==") => ({ match: { op, left, right } });
const meta = (key: string) => ({ meta: { key } });
const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });

describe("chains as nft lists them in JSON", () => {
  it("reads what decides about a packet", () => {
    const read = rules(
      [match(meta("iifname"), "lan*"), { accept: null }],
      [match(payload("tcp", "dport"), { set: [22, { range: [80, 90] }] }), { counter: null }, { drop: null }],
      [match({ ct: { key: "state" } }, ["established", "related"], "in"), { accept: null }],
      [match({ ct: { key: "status" } }, "dnat", "in"), { accept: null }],
      [match({ "&": [{ ct: { key: "mark" } }, 16777216] }, 0, "!="), { jump: { target: "d" } }],
      [match(payload("ip", "saddr"), { prefix: { addr: "10.0.0.0", len: 8 } }, "!="), { reject: null }],
      [match({ fib: { result: "type", flags: ["daddr"] } }, "local"), { goto: { target: "e" } }],
      [{ log: { prefix: "x" } }],
    );
    expect(read?.map(({ text }) => text)).toEqual([
      "iif lan* accept",
      "protocol tcp dport 22, 80-90 drop",
      "ct-state established, related accept",
      "ct-state dnat accept",
      "ct-mark != 0/16777216 jump d",
      "family ipv4 saddr != 10.0.0.0/8 reject",
      "daddr-type local goto e",
      "",
    ]);
    expect(read?.some(({ unknown }) => unknown)).toBe(false);
  });

  it("makes a rule of each branch of a verdict map", () => {
    const data = {
      set: [
        ["established", { accept: null }],
        ["invalid", { drop: null }],
        ["new", { continue: null }],
      ],
    };
    expect(rules([{ vmap: { key: { ct: { key: "state" } }, data } }])?.map(({ text }) => text)).toEqual([
      "ct-state established accept",
      "ct-state invalid drop",
    ]);
  });

  it("guesses at nothing it cannot read", () => {
    const read = rules(
      [match(payload("ip", "saddr"), "@blocked"), { drop: null }],
      [match({ concat: [meta("iifname"), payload("ip", "daddr")] }, "@pairs"), { accept: null }],
      [{ limit: { rate: 3, per: "minute" } }, { accept: null }],
      [{ xt: { type: "match", name: "conntrack" } }, { accept: null }],
      [{ vmap: { key: meta("iifname"), data: "@zones" } }],
      [match(payload("tcp", "flags"), "syn"), { drop: null }],
      [match(meta("mark"), 5, "<"), { drop: null }],
    );
    expect(read?.map(({ unknown }) => unknown)).toEqual([true, true, true, true, true, true, true]);
    expect(read?.[4]?.verdict).toEqual({ kind: "unknown" });
  });

  it("knows the rules of iptables by their extensions, which nft has no words for", () => {
    const expr = [{ xt: { type: "match", name: "conntrack" } }, { accept: null }];
    const nftables = [{ chain: CHAIN }, { rule: { family: "inet", table: "t", chain: "c", expr } }];
    expect(decodeFilterChains(JSON.stringify({ nftables }))[0]?.writtenBy).toBe("iptables-nft");
  });

  it("throws its own error on what is no listing", () => {
    expect(() => decodeFilterChains("[]")).toThrow(NftablesJsonError);
  });
});
