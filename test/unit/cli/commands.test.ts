import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Port } from "../../../src/api/schemas/port.ts";
import { asDevice, FORWARDS } from "../api/rig.ts";
import { T0 } from "../reducers/given.ts";
import { openShell, type Shell } from "./shell.ts";

let shell: Shell;
beforeEach(async () => {
  shell = await openShell();
});
afterEach(async () => await shell.close());

const code = async (line: string) => (await shell.run(line)).code;

describe("portreeve port", () => {
  it("[F1] [A4] add says what it did; --json gives one document, and a list for both protocols", async () => {
    const ran = await shell.run("port add 8443:443/tcp 192.168.77.2 --label web");
    expect(ran).toEqual({ code: 0, out: "11.22.33.1 8443/tcp forwards to 192.168.77.2:443\n", err: "" });
    expect(await shell.json<Port>("port add 50000-50099/udp 192.168.77.2 --for 2h")).toMatchObject({
      count: 100,
      expiresAt: new Date(T0 + 7_200_000).toISOString(),
    });
    const both = await shell.json<Port[]>("port add 4000 192.168.77.2");
    expect(both.map(({ protocol }) => protocol)).toEqual(["tcp", "udp"]);
  });

  it("[F3] changes neither row when one of two is another's, and says whose with exit code 4", async () => {
    await shell.run("port add 4000/udp 192.168.77.3");
    const ran = await shell.run("port add 4000 192.168.77.2");
    expect(ran).toMatchObject({ code: 4, out: "" });
    expect(ran.err).toContain("192.168.77.3");
    expect(await shell.json<Port[]>("port list")).toHaveLength(1);
  });

  it("[F2] list is a table for people, an array for scripts, lines for streams", async () => {
    expect((await shell.run("port list")).out).toMatch(/^No port is open\. Open one with `portreeve port add/);
    expect(await shell.json("port list")).toEqual([]);
    await shell.run("port add 8443:443/tcp 192.168.77.2 --label web");
    await asDevice(shell.rig);
    const [first, second] = await shell.json<Port[]>("port list");
    expect((await shell.run("port list")).out).toBe(
      [
        "PORT      TO                 SOURCE  LABEL  ENDS    STATE   ID",
        `8080/tcp  192.168.77.2:8080  pcp            in 1 h  synced  ${first?.id}`,
        `8443/tcp  192.168.77.2:443   manual  web    never   synced  ${second?.id}`,
        "",
      ].join("\n"),
    );
    const lines = (await shell.run("port list --jsonl")).out.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as Port).id)).toEqual([first?.id, second?.id]);
  });

  it("[F4] disable, enable, edit, keep and remove take a PORT or an id", async () => {
    await shell.run("port add 8443:443 192.168.77.2");
    expect((await shell.run("port disable 8443/tcp")).out).toBe("11.22.33.1 8443/tcp is closed\n");
    expect((await shell.run("port disable 8443/tcp")).out).toContain("it was so already");
    expect((await shell.run("port list")).out).toContain("disabled");
    expect(await code("port enable 11.22.33.1:8443/tcp")).toBe(0);
    const edited = await shell.json<Port>("port edit 8443/tcp --external 9443 --to 192.168.77.9:80 --label x --for 1h");
    expect(edited).toMatchObject({
      external: { port: 9443 },
      internal: { address: "192.168.77.9", port: 80 },
      label: "x",
    });
    expect(await shell.json<Port>(`port edit ${edited.id} --label '' --forever`)).toMatchObject({
      label: null,
      expiresAt: null,
    });
    expect(await code(`port keep ${edited.id}`)).toBe(0);
    expect(await shell.json<Port>("port remove 9443/tcp --yes"), "what it was").toMatchObject({ id: edited.id });
    expect((await shell.json<Port[]>("port list")).map(({ protocol }) => protocol)).toEqual(["udp"]);
  });

  it("[F2] block is listed and lifted again by unblock", async () => {
    await asDevice(shell.rig);
    expect(await code("port block 8080/tcp --yes")).toBe(0);
    expect((await shell.run("port list --blocked")).out).toContain("192.168.77.2:8080/tcp");
    expect(await code("port unblock 9/tcp")).toBe(3);
    expect((await shell.run("port unblock 8080/tcp")).out).toBe("192.168.77.2 may ask for 8080/tcp again\n");
    expect(await shell.json("port list --blocked")).toEqual([]);
  });

  it("[F1] [W2] a registered device is named instead of its address", async () => {
    await shell.run("device add nas --lan lan0 --ip 192.168.77.8");
    await shell.run("device add tv --lan lan0 --ip 192.168.77.9");
    expect((await shell.run("port add 25565/tcp NAS")).out).toBe(
      "11.22.33.1 25565/tcp forwards to 192.168.77.8:25565\n",
    );
    await shell.run("port add 80/tcp tv");
    expect((await shell.json<Port[]>("port list --device nas")).map(({ device }) => device?.name)).toEqual(["nas"]);
    expect(await shell.json<Port>("port edit 25565/tcp --to tv:81")).toMatchObject({
      internal: { address: "192.168.77.9", port: 81 },
    });
    expect(await shell.run("plan port add 81/tcp nas")).toMatchObject({ code: 10 });
    expect(await shell.run("port add 81/tcp nobody")).toMatchObject({
      code: 3,
      err: "error: there is no device nobody; `portreeve device list` shows those there are (NOT_FOUND)\n",
    });
  });

  it("asks a person before it removes, and wants --yes where nobody can answer", async () => {
    await shell.run("port add 8443/tcp 192.168.77.2");
    const alone = await shell.run("port remove 8443/tcp");
    expect(alone).toMatchObject({ code: 2, out: "" });
    expect(alone.err).toContain("--yes");
    const asked = await shell.run("port remove 8443/tcp", { answer: "n" });
    expect(asked).toMatchObject({ code: 1 });
    expect(asked.err).toContain("remove 8443/tcp to 192.168.77.2? [y/N]");
    expect(await shell.json<Port[]>("port list")).toHaveLength(1);
    expect((await shell.run("port remove 8443/tcp", { answer: "y" })).code).toBe(0);
    expect(await shell.json<Port[]>("port list")).toEqual([]);
  });

  it("[A4] --dry-run shows the plan, changes nothing, and exits 10 when there is something to do", async () => {
    const ran = await shell.run("port add 8443/tcp 192.168.77.2 --dry-run");
    expect(ran.code).toBe(10);
    expect(ran.out).toContain(`+ ${FORWARDS}  forward|11.22.33.1|tcp|8443`);
    expect(await shell.json<Port[]>("port list")).toEqual([]);
    await shell.run("port add 8443/tcp 192.168.77.2");
    expect(await shell.run("port enable 8443/tcp --dry-run")).toMatchObject({
      code: 0,
      out: "Nothing would change (at record 4).\n",
    });
  });

  it("--if-match refuses with exit code 4 once the log has moved on", async () => {
    expect(await code("port add 1000 192.168.77.2 --if-match 3"), "two rows, one after the other").toBe(0);
    expect(await code("port add 1001/tcp 192.168.77.2 --if-match 3")).toBe(4);
  });

  it("exits 7 when the kernel does not agree in time, and 0 at once with --no-wait", async () => {
    shell.rig.settle = () => Promise.reject(new Error("aborted"));
    const ran = await shell.run("port add 1000/tcp 192.168.77.2");
    expect(ran.code).toBe(7);
    expect(ran.err).toContain("withdrawn");
    expect(await code("port add 1001/tcp 192.168.77.2 --no-wait")).toBe(0);
  });

  it("exits 3 for what is not there, 2 for what can't be, 1 while nothing can be promised", async () => {
    expect(await code("port show 1/tcp")).toBe(3);
    expect(await code("port show m000000000000")).toBe(3);
    expect(await code("port add 70000/tcp 192.168.77.2")).toBe(2);
    expect(await code("port add 80/tcp nas")).toBe(3);
    expect(await code("port add 80/tcp 127.0.0.1")).toBe(2);
    expect(await code("port edit 80/tcp")).toBe(2);
    expect(await code("port add 22/tcp 192.168.77.2")).toBe(4);
    shell.rig.controller.enter("safe");
    expect(await code("port add 1000/tcp 192.168.77.2")).toBe(1);
  });
});

describe("portreeve", () => {
  it("alone is the status and what to do next", async () => {
    const ran = await shell.run("");
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/^Portreeve 1\.2\.3 is ready, up 0 s, at record 3\n/);
    expect(ran.err).toContain("portreeve port add 8080/tcp HOST");
    expect(await shell.json("status")).toMatchObject({ version: "1.2.3", ready: true });
  });

  it("status exits 8 in safe mode and says why", async () => {
    shell.rig.controller.enter("safe");
    shell.rig.readiness = { ready: false, reasons: ["safe mode: record 7 is missing"] };
    const ran = await shell.run("status");
    expect(ran.code).toBe(8);
    expect(ran.out).toContain("is in safe mode");
    expect(ran.out).toContain("! safe mode: record 7 is missing");
  });

  it("why port tells the claims, the records and the rows", async () => {
    await asDevice(shell.rig);
    const { out } = await shell.run("why port 8080/tcp");
    expect(out).toContain("pcp:0102030405060708090a0b0c by pcp:192.168.77.2, since record 4, ends in 1 h");
    expect(out).toMatch(
      /4 {2}2027-01-15 08:00:00 {2}pcp:192\.168\.77\.2 {2}mapping\.granted +8080\/tcp → 192\.168\.77\.2:8080/,
    );
    expect(out).toMatch(/nftables-forwards {2}forward\|11\.22\.33\.1\|tcp\|8080 +done +4/);
    expect(await shell.json("why port 8080/tcp")).toMatchObject({ claims: [{ seq: 4 }] });
  });

  it("device list and request list show who asked and what was decided", async () => {
    expect((await shell.run("device list")).out).toMatch(/^There is no device/);
    await asDevice(shell.rig);
    await shell.run("port add 22/tcp 192.168.77.2");
    expect((await shell.run("device list")).out).toMatch(
      /192\.168\.77\.2 \(not registered\) +lan0 +192\.168\.77\.2 +any +1 of 2048/,
    );
    expect((await shell.run("request list")).out).toMatch(
      /socket {2}api {2}port add tcp 22 .* refused .*\(PORT_PROTECTED\)/,
    );
    expect(await shell.json("request list --decision granted")).toEqual([]);
  });

  it("[E3] reconciler list, show, run, pause and resume", async () => {
    expect((await shell.run("reconciler list")).out).toMatch(/nftables-forwards {2}ok/);
    expect((await shell.run(`reconciler show ${FORWARDS}`)).out).toContain("2 created");
    expect((await shell.run(`reconciler run ${FORWARDS}`)).out).toBe("nftables-forwards: 2 created in 4 ms\n");
    expect(await code(`reconciler run ${FORWARDS} --dry-run`)).toBe(10);
    expect(await code(`reconciler pause ${FORWARDS} --for 10m`)).toBe(0);
    expect(await shell.json(`reconciler show ${FORWARDS}`)).toMatchObject({
      pausedUntil: new Date(T0 + 600_000).toISOString(),
    });
    expect(await code(`reconciler resume ${FORWARDS}`)).toBe(0);
    expect(await code("reconciler show nftables")).toBe(3);
  });

  it("[E7] snapshot create, list, show and verify, of the newest where none is named", async () => {
    expect(await code("snapshot show")).toBe(3);
    expect((await shell.run("snapshot create")).out).toBe("The state at record 3 is saved.\n");
    expect(await shell.json("snapshot list")).toMatchObject([{ seq: 3 }]);
    expect(await shell.json("snapshot show")).toMatchObject({ seq: 3, state: { seq: 3 } });
    expect((await shell.run("snapshot verify 3")).out).toBe("3: the snapshot is the fold of the log\n");
  });

  it("[E7] state show and diff, by seq or by time", async () => {
    await asDevice(shell.rig);
    expect(await shell.json("state show --at 3")).toMatchObject({ seq: 3, state: { mappings: {} } });
    expect((await shell.run("state diff --from 3")).out).toMatch(/^\+ \/mappings\/m[0-9a-f]{12} {2}\{/m);
    expect((await shell.run("state diff --from 4")).out).toBe("Nothing differs between records 4 and 4.\n");
    expect(await code("state show --at 99")).toBe(3);
  });
});

describe("portreeve events", () => {
  it("[E1] list, show, export and verify read the log", async () => {
    await asDevice(shell.rig);
    const { out } = await shell.run("events list --type mapping");
    expect(out).toMatch(/^ {5}4 {2}2027-01-15 08:00:00 {2}pcp:192\.168\.77\.2 {2}mapping\.granted .*\n$/);
    expect(await shell.json("events list --after 2")).toMatchObject([{ seq: 3 }, { seq: 4 }]);
    expect((await shell.run("events show 4")).out).toContain("mapping.granted");
    const lines = (await shell.run("events export --after 2")).out.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { seq: number }).seq)).toEqual([3, 4]);
    expect(await shell.run("events verify")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^4 records, each good/) as string,
    });
    expect(await code("events list --type maping")).toBe(2);
    expect(await code("events show 99")).toBe(3);
  });

  it("tail follows as records come, and says how to go on when the daemon ends", async () => {
    let seen: () => void = () => {};
    const first = new Promise<void>((resolve) => {
      seen = resolve;
    });
    const tail = shell.run("events tail --after 2 --jsonl", { onOut: () => seen() });
    await first;
    await asDevice(shell.rig);
    await shell.close();
    const ran = await tail;
    const seqs = ran.out
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { seq: number }).seq);
    expect(seqs).toEqual([3, 4].slice(0, seqs.length));
    expect(ran.code).toBe(6);
    expect(ran.err).toContain(`portreeve events tail --after ${seqs.at(-1)}`);
  });
});
