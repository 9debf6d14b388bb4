import { afterEach, describe, expect, it, vi } from "vitest";
import { GuardNeighbours, neighbourPairs } from "../../../../src/adapters/nftables/guard-neighbours.ts";
import type { ReconcileError } from "../../../../src/reconcilers/contract.ts";

const HEAD = "IP address       HW type     Flags       HW address            Mask     Device\n";
const NAS = "02:00:00:00:00:02 . 192.168.77.2";
const LAPTOP = "02:00:00:00:00:03 . 192.168.77.3";

const row = (address: string, station: string, flags = "0x2", device = "lan0", hardware = "0x1"): string =>
  `${address.padEnd(16)} ${hardware.padEnd(11)} ${flags.padEnd(11)} ${station}     *        ${device}\n`;
const nas = row("192.168.77.2", "02:00:00:00:00:02");
const laptop = row("192.168.77.3", "02:00:00:00:00:03");

function guardOf(table: string) {
  const kernel = { table: HEAD + table, served: ["lan0"], refusal: null as ReconcileError | null };
  const written: string[] = [];
  const neighbours = new GuardNeighbours({
    served: () => kernel.served,
    readArpTable: async () => kernel.table,
    transact: async (commands) => {
      written.push(commands);
      return kernel.refusal;
    },
  });
  return { kernel, neighbours, written };
}

describe("neighbours as ARP says", () => {
  it("are those resolved, on Ethernet, on a served interface", () => {
    const others = [
      row("192.168.77.4", "00:00:00:00:00:00", "0x0"),
      row("11.22.33.2", "02:00:00:00:00:09", "0x2", "wan0"),
      row("192.168.77.5", "02:00:00:00:00:05", "0x2", "lan0", "0x20"),
      row("192.168.77.6", "02:00:00:00:00:06; drop", "0x2"),
      "192.168.77.7\n",
    ];
    const permanent = row("192.168.78.2", "02:00:00:00:00:08", "0x6", "lan1");
    const pairs = neighbourPairs(HEAD + nas + others.join("") + permanent, ["lan0", "lan1"]);
    expect([...pairs]).toEqual([NAS, "02:00:00:00:00:08 . 192.168.78.2"]);
  });

  it("are no more than 4,096", () => {
    const rows = Array.from({ length: 5000 }, (_, n) => row(`10.0.${n >> 8}.${n & 255}`, "02:00:00:00:00:02"));
    expect(neighbourPairs(HEAD + rows.join(""), ["lan0"]).size).toBe(4096);
  });
});

describe("the guard's neighbours", () => {
  afterEach(() => vi.useRealTimers());

  it("are written whole at first, then as they change", async () => {
    const { kernel, neighbours, written } = guardOf(nas);
    await neighbours.look();
    kernel.table = HEAD + nas + laptop;
    await neighbours.look();
    await neighbours.look();
    kernel.table = HEAD + row("192.168.77.2", "02:00:00:00:00:99") + laptop;
    await neighbours.look();
    const set = "element inet portreeve_guard neighbours";
    expect(written).toEqual([
      `flush set inet portreeve_guard neighbours\nadd ${set} { ${NAS} }\n`,
      `add ${set} { ${LAPTOP} }\n`,
      `delete ${set} { ${NAS} }\nadd ${set} { 02:00:00:00:00:99 . 192.168.77.2 }\n`,
    ]);
  });

  it("are written whole again after a refusal, and after others wrote to the table", async () => {
    const { kernel, neighbours, written } = guardOf(nas);
    kernel.refusal = { code: "ENOENT", message: "no such table", disposition: "transient" };
    await neighbours.look();
    kernel.refusal = null;
    await neighbours.look();
    neighbours.forget();
    await neighbours.look();
    await neighbours.look();
    expect(written).toHaveLength(3);
    expect(new Set(written).size).toBe(1);
  });

  it("are not taken for written when others wrote while they were", async () => {
    const { kernel, neighbours, written } = guardOf(nas);
    await neighbours.look();
    kernel.table = HEAD + nas + laptop;
    const look = neighbours.look();
    neighbours.forget();
    await look;
    await neighbours.look();
    expect(written.at(-1)).toContain(`flush set`);
    expect(written.at(-1)).toContain(`${NAS}, ${LAPTOP}`);
  });

  it("are left alone while nothing is served: then there is no guard", async () => {
    const { kernel, neighbours, written } = guardOf(nas);
    kernel.served = [];
    await neighbours.look();
    expect(written).toEqual([]);
  });

  it("are looked at each second until closed", async () => {
    vi.useFakeTimers();
    const { kernel, neighbours, written } = guardOf(nas);
    await neighbours.start();
    kernel.table = HEAD + nas + laptop;
    await vi.advanceTimersByTimeAsync(1000);
    expect(written).toHaveLength(2);
    neighbours.close();
    kernel.table = HEAD;
    await vi.advanceTimersByTimeAsync(5000);
    expect(written).toHaveLength(2);
  });
});
