import { describe, expect, it } from "vitest";
import { decodeListing, memberValues, NftablesJsonError } from "../../../../src/protocols/nftables-json/listing.ts";
import { LISTINGS } from "./listing-seeds.ts";

describe("decodeListing", () => {
  it("reads every kind of object that nft prints of our tables", () => {
    const kinds = LISTINGS.flatMap((text) => decodeListing(text).map(({ kind, object }) => [kind, object["name"]]));
    expect(kinds).toEqual([
      ["map", "forwards"],
      ["map", "ranges"],
      ["set", "ours"],
      ["set", "instance"],
      ["chain", "shadow"],
      ["rule", undefined],
    ]);
  });

  it("gives an element's value with and without a comment around it", () => {
    const [ours, instance] = [LISTINGS[2], LISTINGS[3]].map((text) => decodeListing(text as string)[0]);
    expect(ours?.kind === "set" && memberValues(ours.object)).toEqual([
      { value: { concat: ["tcp", 80] }, comment: null },
      { value: { concat: ["udp", 51820] }, comment: null },
    ]);
    expect(instance?.kind === "set" && memberValues(instance.object)).toEqual([
      { value: "0.0.0.1", comment: "00112233aabbccdd" },
    ]);
  });

  it("does not look at what other tables hold", () => {
    const text = '{"nftables": [{"table": {"family": "ip", "name": "x"}}, {"rule": {"table": "x", "expr": "odd"}}]}';
    expect(decodeListing(text, (table) => table === "portreeve")).toEqual([]);
    expect(() => decodeListing(text)).toThrow(NftablesJsonError);
  });

  it("keeps objects of kinds it does not know, by the table they belong to", () => {
    const text = '{"nftables": [{"counter": {"family": "inet", "table": "portreeve", "name": "c"}}]}';
    expect(decodeListing(text, (table) => table === "portreeve")).toEqual([
      { kind: "other", object: { family: "inet", table: "portreeve", name: "c" } },
    ]);
  });

  it.each(["", "null", "[]", '{"nftables": {}}', '{"nftables": [{"set": {"name": 5}}]}', '{"nftables": [{"x": 1}]}'])(
    "refuses %j with its own error",
    (text) => {
      expect(() => decodeListing(text)).toThrow(NftablesJsonError);
    },
  );
});
