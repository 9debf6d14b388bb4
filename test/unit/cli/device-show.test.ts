import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DeviceDocument } from "../../../src/api/schemas/device.ts";
import { bytesText, trafficLines } from "../../../src/cli/traffic-text.ts";
import type { FakeTunnel } from "../api/rig.ts";
import { T0 } from "../reducers/given.ts";
import { openShell, type Shell } from "./shell.ts";

let shell: Shell;
beforeEach(async () => {
  shell = await openShell();
  await shell.run("subnet add home 10.59.7.0/24");
});
afterEach(async () => await shell.close());

describe("portreeve device show", () => {
  it("[W2] tells all of a device, and its last day as a line; with --json the numbers", async () => {
    const { publicKey } = await shell.json<DeviceDocument>("device add nas --kind server");
    const slots = [0, 1, 2, 3].map((index) => ({
      at: T0 + index * 300_000,
      received: index * 1024,
      sent: index === 3 ? 1 : 0,
    }));
    (shell.rig.deps.tunnel as FakeTunnel).counted.set(publicKey ?? "", { slotMs: 300_000, slots });
    const { out } = await shell.run("device show nas");
    expect(out).toMatch(/^name +nas$/m);
    expect(out).toMatch(/^may +ports auto, names auto$/m);
    expect(out).toMatch(/^handshake +never yet$/m);
    expect(out).toMatch(
      /^last day +↓ {2}▃▆█ {2}6\.0 KiB, at most 3\.0 KiB in 5 min\n +↑ {4}█ {2}1 B, at most 1 B in 5 min$/m,
    );
    expect(await shell.json("device show nas")).toMatchObject({
      name: "nas",
      traffic: {
        span: "day",
        slotSeconds: 300,
        slots: slots.map(({ at, received, sent }) => {
          return { at: new Date(at).toISOString(), receivedBytes: received, sentBytes: sent };
        }),
      },
    });
    expect((await shell.run("device show nas --span quarter-hour")).out).toContain("last 15 min");
    expect(await shell.run("device show nas --span week")).toMatchObject({ code: 2 });
    expect(await shell.run("device show nobody")).toMatchObject({ code: 3 });
  });

  it("[W2] of a device on a LAN, whose traffic nobody counts", async () => {
    await shell.run("device add tv --lan lan0 --ip 192.168.77.9");
    const { out } = await shell.run("device show tv");
    expect(out).not.toMatch(/handshake|last day/);
    expect(await shell.json("device show tv")).toMatchObject({ traffic: null, tunnel: null });
    expect((await shell.rig.call("GET", "/api/v1/devices/tv/traffic")).status).toBe(400);
  });
});

describe("portreeve top", () => {
  it("[W8] is the devices that were seen, the busiest first, with the rates of the last whole minute", async () => {
    expect((await shell.run("top")).out).toMatch(/^No device has been seen yet/);
    const tunnel = shell.rig.deps.tunnel as FakeTunnel;
    const endpoint = "198.51.100.7:51820";
    for (const [name, each] of [
      ["quiet", 0],
      ["busy", 20_480],
    ] as const) {
      const { publicKey } = await shell.json<DeviceDocument>(`device add ${name}`);
      tunnel.lately.set(publicKey ?? "", { handshakeAt: T0 - 5000, endpoint, received: each * 9, sent: 7 });
      const slots = Array.from({ length: 9 }, (_, index) => {
        // Of the oldest and of the one that is not over nothing is counted.
        return { at: T0 + index * 10_000, received: index === 0 || index === 8 ? 1_000_000 : each, sent: 0 };
      });
      tunnel.counted.set(publicKey ?? "", { slotMs: 10_000, slots });
    }
    await shell.run("device add never");
    await shell.run("device add tv --lan lan0 --ip 192.168.77.9");
    const rows = (await shell.run("top")).out.split("\n");
    expect(rows[1]).toMatch(/^busy +10\.59\.7\.3 +2\.0 KiB\/s +0 B\/s +180 KiB +7 B +198\.51\.100\.7:51820 +5 s ago$/);
    expect(rows[2]).toMatch(/^quiet +10\.59\.7\.2 +0 B\/s/);
    expect(rows.slice(3)).toEqual([""]);
    expect(await shell.json("top")).toMatchObject([
      { device: { name: "busy" }, receivedBytesPerSecond: 2048, sentBytesPerSecond: 0, receivedBytes: 184_320 },
      { device: { name: "quiet" } },
    ]);
  });
});

describe("traffic as text", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [150 * 1024, "150 KiB"],
    [1.5 * 1024 ** 3, "1.5 GiB"],
    [5000 * 1024 ** 4, "5000 TiB"],
  ])("%d bytes are %s", (bytes, text) => expect(bytesText(bytes)).toBe(text));

  it("a day fits a terminal, its newest column whole; a little is seen beside a lot, nothing is blank", () => {
    const slot = (receivedBytes: number) => ({ at: new Date(T0).toISOString(), receivedBytes, sentBytes: 0 });
    const slots = Array.from({ length: 288 }, (_, index) => slot(index === 0 ? 1 : index >= 282 ? 1000 : 0));
    const [down = "", up] = trafficLines({ span: "day", slotSeconds: 300, slots });
    expect(down).toMatch(/^↓ ▁ {46}█ {2}5\.9 KiB, at most 5\.9 KiB in 30 min$/);
    expect(up).toBe("↑ nothing");
    expect(trafficLines({ span: "day", slotSeconds: 300, slots: [] })).toEqual(["↓ nothing", "↑ nothing"]);
  });
});
