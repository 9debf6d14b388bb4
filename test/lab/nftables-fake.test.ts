import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nftErrorCode } from "../../src/protocols/nftables-json/error-code.ts";
import { FakeRuleset } from "../../src/protocols/nftables-json/fake.ts";
import { decodeListing } from "../../src/protocols/nftables-json/listing.ts";
import { createTopology, missingForLab, type Topology } from "./topology.mjs";

const GROUND = `
add table inet t
add map inet t single { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
add map inet t ranges { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; }
add set inet t plain { type ipv4_addr; }
add chain inet t c { type filter hook input priority 0; policy accept; }
add chain inet t d
`;
const FIXED = [
  "add element inet t nowhere { 1.1.1.1 }",
  "add element inet nowhere plain { 1.1.1.1 }",
  "delete element inet t plain { 1.1.1.1 }",
  "delete table inet nowhere",
  "add rule inet t nowhere accept",
  "add rule inet t c jump nowhere",
  "add rule inet t c ip saddr @nowhere drop",
  "add map inet t single { type ipv4_addr : ipv4_addr; }",
  "add chain inet t c { type filter hook input priority 5; policy accept; }",
  "add element inet t plain { 1.1.1.1 : 2.2.2.2 }",
  "create element inet t plain { 5.5.5.5 }",
  "create element inet t plain { 5.5.5.5 }",
  "delete element inet t single { 1.1.1.1 . tcp . 80 : 9.9.9.9 . 1 }",
  "add rule inet t c ip saddr @plain jump d",
  "delete set inet t plain",
  "delete chain inet t d",
  "add element inet t ranges { 3.3.3.3 . udp . 20-29 : 2.2.2.2 }",
  "add element inet t ranges { 3.3.3.3 . udp . 10-39 : 2.2.2.2 }",
  "delete element inet t ranges { 3.3.3.3 . udp . 15 }",
  "add element inet t ranges { 3.3.3.3 . udp . 25-39 : 2.2.2.2 }",
  "delete element inet t ranges { 3.3.3.3 . udp . 19-29 }",
  "delete element inet t ranges { 3.3.3.3 . udp . 29-60 }",
];

/** xorshift32, so that a failure can be repeated from the seed in its message. */
function generator(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** Few keys and small intervals, so that they meet each other often. */
function randomCommand(next: (limit: number) => number): string {
  const verb = next(3) === 0 ? "delete" : "add";
  const address = `1.1.1.${next(2)}`;
  const target = `2.2.2.${next(2)}`;
  switch (next(3)) {
    case 0:
      return `${verb} element inet t plain { ${address} }`;
    case 1:
      return `${verb} element inet t single { ${address} . tcp . ${80 + next(3)} : ${target} . 8080 }`;
    default: {
      // All of one length: which of two intervals the kernel finds when one encloses the other is not defined.
      const first = 100 + next(20);
      return `${verb} element inet t ranges { ${address} . udp . ${first}-${first + 4} : ${target} }`;
    }
  }
}

describe.skipIf(missingForLab() !== null)("the fake ruleset beside the kernel's", () => {
  let topology: Topology;
  beforeAll(async () => {
    topology = await createTopology({ clients: 0 });
  });
  afterAll(() => topology?.close());

  const kernelCode = async (commands: string): Promise<string | null> => {
    const failure = await topology.gateway.exec("nft", commands).then(
      () => null,
      (error: Error & { stderr: string }) => error.stderr,
    );
    return failure === null ? null : nftErrorCode(failure);
  };
  const fakeCode = (fake: FakeRuleset, commands: string): string | null => {
    const error = fake.run(commands);
    return error === null ? null : nftErrorCode(error);
  };
  const members = (json: string): unknown =>
    decodeListing(json)
      .filter(({ kind }) => kind === "set" || kind === "map")
      .map(({ object }) => [
        object["name"],
        object["type"],
        [...((object["elem"] as unknown[]) ?? [])].map(sorted).sort(),
      ]);
  const sorted = (value: unknown): string => JSON.stringify(value);

  it("answers as the kernel does, and ends with the same elements", async () => {
    const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
    const next = generator(seed);
    const fake = new FakeRuleset();
    expect(await kernelCode(GROUND)).toBe(fakeCode(fake, GROUND));
    const commands = [...FIXED, ...Array.from({ length: 300 }, () => randomCommand(next))];
    const pairs = Array.from({ length: 60 }, () => `${randomCommand(next)}\n${randomCommand(next)}`);
    const seen = new Set<string | null>();
    for (const command of [...commands, ...pairs]) {
      const code = fakeCode(fake, command);
      seen.add(code);
      expect(await kernelCode(command), `seed ${seed}: ${command}`).toBe(code);
    }
    expect([...seen].map(String).sort()).toEqual(["EBUSY", "EEXIST", "EINVAL", "ENOENT", "EOPNOTSUPP", "null"].sort());
    const listed = await topology.gateway.exec("nft", "-j", "list", "ruleset");
    expect(members(listed)).toEqual(members(fake.listJson()));
  });
});
