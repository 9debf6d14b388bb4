import { describe, expect, it } from "vitest";
import { Neighbours } from "../../../../src/adapters/kernel/neighbours.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";

const at = (dst: string, lladdr?: string, dev = "lan0") => ({ dst, dev, ...(lladdr !== undefined && { lladdr }) });
const NAS = "02:00:00:00:00:02";
const REPEATER = "02:00:00:00:00:03";

function rig(listed: unknown) {
  const clock = new ManualClock(1_800_000_000_000);
  let looks = 0;
  const table = { listed };
  const neighbours = new Neighbours(clock, async () => {
    looks += 1;
    if (table.listed instanceof Error) throw table.listed;
    return table.listed;
  });
  return { clock, table, neighbours, looks: () => looks };
}

describe("the IPv4 address of a station", () => {
  it("is the one that it has on the interface, whatever other addresses it has", async () => {
    const { neighbours } = rig([
      at("192.168.77.2", NAS),
      at("10.0.0.2", NAS, "lan1"),
      at("2001:db8:77::2", NAS),
      at("fe80::2", NAS),
      at("192.168.77.9"),
    ]);
    expect(await neighbours.ipv4Of("lan0", "2001:db8:77::2")).toBe("192.168.77.2");
    expect(await neighbours.ipv4Of("lan1", "2001:db8:77::2")).toBeNull();
  });

  it("is none where several are behind one station, where there is none, and where nothing can be read", async () => {
    const behind = [at("192.168.77.3", REPEATER), at("192.168.77.4", REPEATER), at("2001:db8:77::3", REPEATER)];
    expect(await rig(behind).neighbours.ipv4Of("lan0", "2001:db8:77::3")).toBeNull();
    expect(await rig([at("2001:db8:77::2", NAS)]).neighbours.ipv4Of("lan0", "2001:db8:77::2")).toBeNull();
    for (const listed of [new Error("no ip"), "nonsense", [{ dst: 1 }]]) {
      expect(await rig(listed).neighbours.ipv4Of("lan0", "2001:db8:77::2")).toBeNull();
    }
  });

  it("is looked for at most once a second, and who is new at most five times", async () => {
    const { clock, table, neighbours, looks } = rig([at("192.168.77.2", NAS), at("2001:db8:77::2", NAS)]);
    for (let step = 0; step < 9; step += 1) {
      await neighbours.ipv4Of("lan0", "2001:db8:77::2");
      clock.advance(100);
    }
    expect(looks()).toBe(1);
    table.listed = [at("192.168.77.5", NAS), at("2001:db8:77::5", NAS)];
    expect(await neighbours.ipv4Of("lan0", "2001:db8:77::5")).toBe("192.168.77.5");
    expect(await neighbours.ipv4Of("lan0", "2001:db8:77::6")).toBeNull();
    expect(looks()).toBe(2);
  });
});
