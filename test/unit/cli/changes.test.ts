import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PlanDocument } from "../../../src/api/schemas/plan.ts";
import type { Port } from "../../../src/api/schemas/port.ts";
import { asDevice } from "../api/rig.ts";
import { openShell, type Shell } from "./shell.ts";

let shell: Shell;
beforeEach(async () => {
  shell = await openShell();
});
afterEach(async () => await shell.close());

describe("portreeve plan", () => {
  it("[E4] before any command shows what it would change and exits 10; nothing changes", async () => {
    const { seq } = shell.rig.controller.state;
    const ran = await shell.run("plan port add 8443:443/tcp 192.168.77.2 --label web");
    expect(ran.code).toBe(10);
    expect(ran.out).toContain("+ port 8443/tcp: to 192.168.77.2:443, on wan0, label web, is open");
    expect(ran.out).toContain("+ nftables-forwards  forward|11.22.33.1|tcp|8443");
    expect(ran.out).toContain("It can be undone.");
    expect(shell.rig.controller.state.seq).toBe(seq);
    const plan = await shell.run("--json plan port add 8443:443/tcp 192.168.77.2");
    expect([plan.code, (JSON.parse(plan.out) as PlanDocument).seq]).toEqual([10, seq]);
  });

  it("[E4] exits 0 where nothing would change, and 2 for what changes nothing at all", async () => {
    await shell.run("port add 8443/tcp 192.168.77.2");
    expect(await shell.run("plan port enable 8443/tcp")).toMatchObject({ code: 0 });
    const list = await shell.run("plan port list");
    expect(list).toMatchObject({ code: 2 });
    expect(list.err).toContain("port list changes nothing, so there is nothing to plan");
    expect(await shell.run("plan")).toMatchObject({ code: 2 });
    expect(await shell.run("plan port ad 8443/tcp")).toMatchObject({ code: 2 });
  });
});

describe("portreeve undo, revert and confirm", () => {
  it("[E5] undo says which record it took back and what of it", async () => {
    await shell.run("port add 8443/tcp 192.168.77.2");
    expect(await shell.run("undo")).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^Record 4 is undone by record 5:\n {2}- port 8443\/tcp: to 192\.168\.77\.2:8443/,
      ) as string,
      err: "",
    });
    expect((await shell.run("undo")).out).toContain("+ port 8443/tcp");
    expect(await shell.run("undo --dry-run")).toMatchObject({ code: 10 });
  });

  it("[E5] [F1] a command for both protocols is one change, that one undo takes back", async () => {
    const ports = async () =>
      (await shell.json<Port[]>("port list")).map(({ protocol, enabled }) => [protocol, enabled]);
    expect((await shell.run("plan port add 4000 192.168.77.2")).out).toMatch(/\+ port 4000\/tcp[^]*\+ port 4000\/udp/);
    await shell.run("port add 4000 192.168.77.2");
    await shell.run("port disable 4000");
    const closed = [
      ["tcp", false],
      ["udp", false],
    ];
    expect(await ports()).toEqual(closed);
    expect((await shell.run("port disable 4000")).out.match(/it was so already/g)).toHaveLength(2);
    await shell.run("undo");
    expect(await ports()).toEqual(closed.map(([protocol]) => [protocol, true]));
    await shell.run("undo");
    await shell.run("port remove 4000 --yes");
    expect(await ports()).toEqual([]);
    await shell.run("undo");
    expect(await ports()).toEqual(closed);
  });

  it("[E5] revert refuses with exit code 4 what others depend on", async () => {
    await asDevice(shell.rig);
    await shell.run("port keep 8080/tcp");
    const ran = await shell.run("revert 4");
    expect(ran).toMatchObject({ code: 4, out: "" });
    expect(ran.err).toContain("record 5 (lease.granted by api:socket)");
    expect(await shell.run("revert x")).toMatchObject({ code: 2 });
  });

  it("[E5] --confirm-within says how to confirm; confirm without an id takes all that waits", async () => {
    const ran = await shell.run("port add 4000 192.168.77.2 --confirm-within 60s");
    expect(ran.err.match(/undone in 1 min unless you confirm it: portreeve confirm c/g)).toHaveLength(1);
    const waiting = "port 4000/tcp, port 4000/udp is undone in 1 min unless confirmed";
    expect((await shell.run("status")).out).toContain(waiting);
    const confirmed = await shell.run("confirm");
    expect(confirmed.out).toBe("port 4000/tcp, port 4000/udp stays as it is.\n");
    expect(await shell.run("confirm")).toMatchObject({ code: 3 });
  });
});

describe("portreeve why", () => {
  it("[E6] tells of what is there and of what is gone", async () => {
    await shell.run("port add 8443/tcp 192.168.77.2 --label web");
    const there = await shell.run("why element 'forward|11.22.33.1|tcp|8443'");
    expect(there.out).toContain("It belongs to port 8443/tcp (to 192.168.77.2:8443, on wan0, label web");
    await shell.run("port remove 8443/tcp --yes");
    expect((await shell.run("why port 8443/tcp")).out).toContain(
      "is gone since record 5 (lease.released by api:socket",
    );
    expect(await shell.run("why port 1/tcp")).toMatchObject({ code: 3 });
  });
});
