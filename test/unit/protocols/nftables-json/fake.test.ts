import { beforeEach, describe, expect, it } from "vitest";
import { nftErrorCode } from "../../../../src/protocols/nftables-json/error-code.ts";
import { FakeRuleset } from "../../../../src/protocols/nftables-json/fake.ts";
import { decodeListing } from "../../../../src/protocols/nftables-json/listing.ts";

const GROUND = `
add table inet t
add map inet t single { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
add map inet t ranges { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; }
add set inet t plain { type ipv4_addr; }
add chain inet t c { type filter hook input priority 0; policy accept; }
add chain inet t d
`;

describe("FakeRuleset", () => {
  let kernel: FakeRuleset;
  const code = (commands: string, owner = 0): string | null => {
    const error = kernel.run(commands, owner);
    return error === null ? null : nftErrorCode(error);
  };
  beforeEach(() => {
    kernel = new FakeRuleset();
    expect(code(GROUND)).toBeNull();
  });

  it.each([
    ["ENOENT", "add element inet t nowhere { 1.1.1.1 }"],
    ["ENOENT", "add element inet nowhere plain { 1.1.1.1 }"],
    ["ENOENT", "delete element inet t plain { 1.1.1.1 }"],
    ["ENOENT", "delete table inet nowhere"],
    ["ENOENT", "add rule inet t nowhere accept"],
    ["ENOENT", "add rule inet t c jump nowhere"],
    ["ENOENT", "add rule inet t c ip saddr @nowhere drop"],
    ["EEXIST", "add map inet t single { type ipv4_addr : ipv4_addr; }"],
    ["EOPNOTSUPP", "add chain inet t c { type filter hook input priority 5; policy accept; }"],
    ["EINVAL", "add element inet t plain { 300.1.1.1 }"],
    ["EINVAL", "add element inet t plain { 1.1.1.1 : 2.2.2.2 }"],
    ["EINVAL", "add element inet t single { 1.1.1.1 . tcp . 1-5 : 2.2.2.2 . 5 }"],
    [null, GROUND.trim()],
    [null, "add element inet t ranges { 1.1.1.1 . udp . 5-9 : 2.2.2.2, 1.1.1.1 . udp . 10 : 2.2.2.2 }"],
  ])("answers %s to: %s", (expected, commands) => {
    expect(code(commands)).toBe(expected);
  });

  it("accepts an element again with the same data, and refuses it with other data", () => {
    expect(code("add element inet t single { 1.1.1.1 . tcp . 80 : 2.2.2.2 . 80 }")).toBeNull();
    expect(code("add element inet t single { 1.1.1.1 . tcp . 80 : 2.2.2.2 . 80 }")).toBeNull();
    expect(code("create element inet t single { 1.1.1.1 . tcp . 80 : 2.2.2.2 . 80 }")).toBe("EEXIST");
    expect(code("add element inet t single { 1.1.1.1 . tcp . 80 : 2.2.2.3 . 80 }")).toBe("EEXIST");
    expect(code("delete element inet t single { 1.1.1.1 . tcp . 80 : 9.9.9.9 . 1 }")).toBeNull();
  });

  it("refuses intervals that overlap, and forgets the one that holds the first value asked for", () => {
    expect(code("add element inet t ranges { 1.1.1.1 . udp . 80-90 : 2.2.2.2 }")).toBeNull();
    for (const ports of ["85-95", "82-83", "80-90", "90"]) {
      expect(code(`add element inet t ranges { 1.1.1.1 . udp . ${ports} : 2.2.2.9 }`), ports).toBe("EEXIST");
    }
    expect(code("add element inet t ranges { 1.1.1.2 . udp . 85-95 : 2.2.2.2 }")).toBeNull();
    expect(kernel.find("t", "ranges", ["1.1.1.1", "udp", 85])?.data).toEqual(["2.2.2.2"]);
    expect(code("delete element inet t ranges { 1.1.1.1 . udp . 79-90 }")).toBe("ENOENT");
    expect(code("delete element inet t ranges { 1.1.1.1 . udp . 89-99 }")).toBeNull();
    expect(kernel.find("t", "ranges", ["1.1.1.1", "udp", 85])).toBeNull();
  });

  it("does a transaction whole or not at all", () => {
    const before = kernel.dump();
    const { generation } = kernel;
    expect(code("add element inet t plain { 1.1.1.1 }\nflush chain inet t c\ndelete table inet nowhere")).toBe(
      "ENOENT",
    );
    expect(kernel.dump()).toBe(before);
    expect(kernel.generation).toBe(generation);
  });

  it("keeps what is referred to", () => {
    expect(code("add rule inet t c ip saddr @plain jump d")).toBeNull();
    expect(code("delete set inet t plain")).toBe("EBUSY");
    expect(code("delete chain inet t d")).toBe("EBUSY");
    expect(code("flush chain inet t c\ndelete set inet t plain\ndelete chain inet t d")).toBeNull();
  });

  it("lets only its owner change an owned table, and removes it with its socket", () => {
    expect(code("add table inet held { flags owner; }", 7)).toBeNull();
    expect(code("delete table inet held")).toBe("EPERM");
    kernel.flush();
    expect([...kernel.tables()]).toEqual([["held", { owner: 7 }]]);
    kernel.closeSocket(7);
    expect(kernel.dump()).toBe("");
  });

  it("takes JSON transactions and lists what the decoder of real listings reads", () => {
    const element = { family: "inet", table: "t", name: "ranges" };
    const key = { concat: ["1.1.1.1", "udp", { range: [5, 9] }] };
    const add = { add: { element: { ...element, elem: [[key, "2.2.2.2"]] } } };
    expect(code(JSON.stringify({ nftables: [add] }))).toBeNull();
    const maps = decodeListing(kernel.listJson()).filter(({ kind }) => kind === "map");
    expect(maps.map(({ object }) => object["elem"])).toEqual([undefined, [[key, "2.2.2.2"]]]);
    expect(kernel.dump()).toContain("elements = { 1.1.1.1 . udp . 5-9 : 2.2.2.2 }");
    expect(kernel.dump(true)).not.toContain("elements");
  });
});
