import { describe, expect, it } from "vitest";
import {
  type ElementFields,
  FORWARD_SETS,
  GUARD_SETS,
  type SetLayout,
} from "../../../../src/adapters/nftables/element-columns.ts";
import { eachMessage } from "../../../../src/adapters/nftables/netlink-message.ts";
import { decodeElements, elementRequest, elementsRequest } from "../../../../src/adapters/nftables/set-elements.ts";
import { parseIpv4 } from "../../../../src/lib/ip.ts";

const layout = (name: string): [number, SetLayout] => {
  const index = FORWARD_SETS.findIndex((each) => each.name === name);
  return [index, FORWARD_SETS[index] as SetLayout];
};

/** Answers of Linux 6.18 to `elementsRequest`, for sets that nft 1.0.6 filled. */
const DUMPS = {
  forwards:
    "60000000 0c0a0200 01000000 d01692f3 01000003 0e000100 706f7274 72656576 65000000 0d000200 666f7277 61726473 00000000 " +
    "2c000300 28000100 14000100 10000100 01020304 06000000 00500000 10000200 0c000100 0a000001 1f900000",
  ranges:
    "a4000000 0c0a0200 01000000 d01692f3 01000003 0e000100 706f7274 72656576 65000000 0b000200 72616e67 65730000 74000300 " +
    "38000100 14000100 10000100 01020304 11000000 00500000 14000a00 10000100 01020304 11000000 005a0000 0c000200 08000100 0a000001 " +
    "38000100 14000100 10000100 01020304 11000000 00640000 14000a00 10000100 01020304 11000000 00640000 0c000200 08000100 0a000001",
  ours: "48000000 0c0a0200 01000000 d01692f3 01000003 0e000100 706f7274 72656576 65000000 09000200 6f757273 00000000 18000300 14000100 10000100 0c000100 06000000 00500000",
  holders:
    "44000000 0c0a0200 01000000 d01692f3 01000003 0e000100 706f7274 72656576 65000000 0c000200 686f6c64 65727300 14000300 10000100 0c000100 08000100 01020304",
  host_via:
    "b0000000 0c0a0200 01000000 59720000 01000004 0e000100 706f7274 72656576 65000000 0d000200 686f7374 5f766961 00000000 7c000300 " +
    "2c000100 0c000100 08000100 01020305 1c000200 18000200 08000100 fffffffd 0a000200 7669615f 37000000 " +
    "2c000100 0c000100 08000100 01020304 1c000200 18000200 08000100 fffffffc 0a000200 7669615f 37000000 " +
    "20000100 0c000100 08000100 01020306 10000200 0c000200 08000100 00000000",
  port_via:
    "6c000000 0c0a0200 01000000 59720000 01000004 0e000100 706f7274 72656576 65000000 0d000200 706f7274 5f766961 00000000 38000300 " +
    "34000100 14000100 10000100 01020304 11000000 00350000 1c000200 18000200 08000100 fffffffc 0a000200 7669615f 37000000",
} as const;

function decode(hex: string, set: number, of: SetLayout): (ElementFields | null)[] {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const found: (ElementFields | null)[] = [];
  eachMessage(bytes, bytes.length, ({ start, end }) => {
    decodeElements(bytes, start, end, set, of, (fields) => found.push(fields));
  });
  return found;
}

const base = { address: parseIpv4("1.2.3.4") as number, toAddress: parseIpv4("10.0.0.1") as number, sourcePort: 0 };

describe("elements from the kernel", () => {
  it("are read from a map of addresses and ports", () => {
    expect(decode(DUMPS.forwards, ...layout("forwards"))).toEqual([
      { ...base, set: 0, protocol: 6, firstPort: 80, lastPort: 80, toPort: 8080 },
    ]);
  });

  it("are read from a map of intervals, also one of a single port", () => {
    expect(decode(DUMPS.ranges, ...layout("ranges"))).toEqual([
      { ...base, set: 1, protocol: 17, firstPort: 80, lastPort: 90, toPort: 0 },
      { ...base, set: 1, protocol: 17, firstPort: 100, lastPort: 100, toPort: 0 },
    ]);
  });

  it("are read from sets with and without a concatenation", () => {
    const none = { address: 0, protocol: 0, firstPort: 0, lastPort: 0, toAddress: 0, toPort: 0, sourcePort: 0 };
    expect(decode(DUMPS.ours, ...layout("ours"))).toEqual([
      { ...none, set: 3, protocol: 6, firstPort: 80, lastPort: 80 },
    ]);
    expect(decode(DUMPS.holders, 0, GUARD_SETS[0] as SetLayout)).toEqual([{ ...none, set: 0, address: base.address }]);
  });

  it("[W5] are read from maps of verdicts, and only those that go on in the chain of a way out", () => {
    const none = { protocol: 0, firstPort: 0, lastPort: 0, toAddress: 0, sourcePort: 0 };
    expect(decode(DUMPS.host_via, ...layout("host_via"))).toEqual([
      null,
      { ...none, set: 8, address: base.address, toPort: 7 },
      null,
    ]);
    expect(decode(DUMPS.port_via, ...layout("port_via"))).toEqual([
      {
        set: 9,
        address: base.address,
        protocol: 17,
        firstPort: 53,
        lastPort: 53,
        toAddress: 0,
        toPort: 7,
        sourcePort: 0,
      },
    ]);
    const elsewhere = DUMPS.port_via.replace("7669615f 37000000", "61646d69 6e000000");
    expect(decode(elsewhere, ...layout("port_via"))).toEqual([null]);
  });

  it("are null where no row of ours can be: another protocol, an address range, a timeout, another type", () => {
    const sctp = DUMPS.forwards.replace("01020304 06000000", "01020304 84000000");
    expect(decode(sctp, ...layout("forwards"))).toEqual([null]);
    const prefix = DUMPS.ranges.replace("14000a00 10000100 01020304", "14000a00 10000100 010203ff");
    expect(decode(prefix, ...layout("ranges"))[0]).toBeNull();
    const timed = DUMPS.holders
      .replace("44000000 0c0a", "50000000 0c0a")
      .replace("14000300 10000100", "20000300 1c000100")
      .concat(" 0c000400 00000000 00002710");
    expect(decode(timed, 0, GUARD_SETS[0] as SetLayout)).toEqual([null]);
    expect(decode(DUMPS.holders, ...layout("forwards"))).toEqual([null]);
  });

  it("are never read beyond the message that holds them", () => {
    const whole = DUMPS.ranges.replaceAll(" ", "");
    for (let length = 0; length < whole.length; length += 2) {
      const cut = Buffer.from(whole.slice(0, length), "hex");
      if (cut.length >= 4) cut.writeUInt32LE(cut.length, 0);
      for (const fields of decode(cut.toString("hex"), ...layout("ranges"))) {
        if (fields !== null) expect([80, 100]).toContain(fields.firstPort);
      }
    }
  });

  it("are asked for by table and set, and one of them by its key", () => {
    expect(elementsRequest("portreeve", "ours").toString("hex")).toBe(
      "30000000" +
        "0d0a" +
        "0103" +
        "0000000000000000" +
        "01000000" +
        "0e000100706f72747265657665000000" +
        "090002006f75727300000000",
    );
    const [set, of] = layout("forwards");
    const fields = { ...base, set, protocol: 6, firstPort: 80, lastPort: 80, toPort: 0 };
    expect(elementRequest("portreeve", of, fields).toString("hex")).toContain("10000100010203040600000000500000");
  });
});
