import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PlanDocument, ResultDocument } from "../../../src/api/schemas/plan.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { MemorySecrets } from "../api/memory-secrets.ts";
import type { FakeTunnel } from "../api/rig.ts";
import { openShell, type Shell } from "./shell.ts";

const SITE = `name: site
subnets:
  - { name: work, prefix: 10.59.7.0/24 }
devices:
  - { name: nas, subnet: work, kind: server }
  - { name: tv, interface: lan0, address: 192.168.77.9 }
ports:
  - { name: web, port: 8443/tcp, to: "tv:443" }
`;

describe("plan and apply of a file", () => {
  let shell: Shell;
  let folder: string;
  beforeEach(async () => {
    shell = await openShell();
    folder = mkdtempSync(join(tmpdir(), "portreeve-declaration-"));
  });
  afterEach(async () => {
    await shell.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const file = (text: string): string => {
    const path = join(folder, "site.yaml");
    writeFileSync(path, text);
    return path;
  };
  const names = () => [...tableRows(shell.rig.controller.state.devices)].map(({ name }) => name).sort();

  it("plans with exit 10, applies, and then has nothing left to do", async () => {
    const path = file(SITE);
    const { seq } = shell.rig.controller.state;
    const planned = await shell.run(`plan -f ${path}`);
    expect([planned.code, planned.err]).toEqual([10, ""]);
    for (const said of ["+ subnet work", "+ device nas", "+ device tv", "+ port 8443/tcp", "managed by site"]) {
      expect(planned.out).toContain(said);
    }
    expect((await shell.run(`plan apply -f ${path}`)).code).toBe(10);
    expect(shell.rig.controller.state.seq).toBe(seq);
    const applied = await shell.run(`apply -f ${path}`);
    expect([applied.code, applied.err]).toEqual([0, ""]);
    expect(applied.out).toMatch(/^Done by record \d+:\n/);
    const { seq: after } = shell.rig.controller.state;
    const again = await shell.run(`apply -f ${path} --prune`);
    expect([again.code, again.out]).toEqual([0, "It is so already; nothing was changed.\n"]);
    expect((await shell.run(`plan -f ${path} --prune`)).code).toBe(0);
    expect(shell.rig.controller.state.seq).toBe(after);
    const devices = await shell.json<{ name: string; managedBy: string }[]>("device list");
    expect(devices.map(({ name, managedBy }) => `${name} ${managedBy}`)).toContain("nas site");
    expect(await shell.json<{ managedBy: string }[]>("port list")).toEqual([
      expect.objectContaining({ managedBy: "site" }),
    ]);
  });

  it("[D3] holds records: their RRset is what it says, what it names no more goes with --prune", async () => {
    const records = (text: string) => file(`name: site\nrecords:\n${text}`);
    const first =
      "  - { name: Web.Home.Arpa, type: a, value: 10.59.7.2 }\n  - { name: x.lan, type: TXT, value: hello }\n";
    expect((await shell.run(`apply -f ${records(first)}`)).code).toBe(0);
    expect((await shell.run(`plan -f ${records(first)}`)).code).toBe(0);
    const listed = async () =>
      (await shell.json<{ name: string; value: string; ttl: number; managedBy: string }[]>("dns list")).map(
        ({ name, value, ttl, managedBy }) => `${name} ${value} ${ttl} ${managedBy}`,
      );
    expect(await listed()).toEqual(["web.home.arpa 10.59.7.2 300 site", 'x.lan "hello" 300 site']);
    const second = "  - { name: web.home.arpa, type: A, value: 10.59.7.3, ttl: 60 }\n";
    expect((await shell.run(`apply -f ${records(second)} --yes`)).code).toBe(0);
    expect(await listed()).toEqual(["web.home.arpa 10.59.7.3 60 site", 'x.lan "hello" 300 site']);
    expect((await shell.run(`apply -f ${records(second)} --prune --yes`)).code).toBe(0);
    expect(await listed()).toEqual(["web.home.arpa 10.59.7.3 60 site"]);
    await shell.run("dns add y.lan A 10.59.7.4");
    const taken = await shell.run(`apply -f ${records("  - { name: y.lan, type: A, value: 10.59.7.4 }\n")}`);
    expect([taken.code, taken.err]).toEqual([4, expect.stringContaining("record y.lan A: ")]);
    const wrong = await shell.run(`apply -f ${records("  - { name: y.lan, type: A, value: 10.59.7.999 }\n")}`);
    expect([wrong.code === 0, wrong.err]).toEqual([
      false,
      expect.stringContaining("10.59.7.999 is no value of type A"),
    ]);
  });

  it("removes only with --prune, and only with a yes", async () => {
    await shell.run(`apply -f ${file(SITE)}`);
    const fewer = file(SITE.replace(/ {2}- \{ name: nas.*\n/, ""));
    expect((await shell.run(`apply -f ${fewer}`)).out).toContain("nothing was changed");
    const asked = await shell.run(`apply -f ${fewer} --prune`);
    expect(asked.code).toBe(2);
    expect(asked.err).toContain("remove device nas");
    expect(names()).toEqual(["nas", "tv"]);
    const done = await shell.run(`apply -f ${fewer} --prune --yes`);
    expect([done.code, names()]).toEqual([0, ["tv"]]);
  });

  it("names what stands in the way, changes nothing, and erases the keys it had made", async () => {
    await shell.run("device add nas --lan lan0 --ip 192.168.77.8");
    const { seq } = shell.rig.controller.state;
    const refused = await shell.run(
      `apply -f ${file(SITE.replace("nas,", "pi,").concat("  - { name: ssh, port: 22/tcp, to: pi }\n"))}`,
    );
    expect(refused.code).toBe(4);
    expect(refused.err).toContain("port ssh: tcp 22 cannot be forwarded");
    expect((shell.rig.deps.secrets as MemorySecrets).kept.size).toBe(0);
    expect((await shell.run(`apply -f ${file(SITE)}`)).err).toContain(
      "device nas: nas is there already and was made by hand",
    );
    expect(shell.rig.controller.state.seq).toBe(seq);
  });

  it("erases the keys of devices that did not come to be", async () => {
    const tunnel = shell.rig.deps.tunnel as FakeTunnel;
    const body = { declaration: { name: "site", devices: [{ name: "nas", subnet: "nowhere" }] } };
    const made = await shell.rig.app.inject({ method: "POST", url: "/api/v1/declaration", payload: body });
    expect([made.statusCode, made.json<{ detail: string }>().detail]).toEqual([
      404,
      "device nas: there is no subnet nowhere",
    ]);
    expect(tunnel.wishes).toHaveLength(1);
    expect((shell.rig.deps.secrets as MemorySecrets).kept.size).toBe(0);
    const dry = await shell.rig.app.inject({ method: "POST", url: "/api/v1/declaration?dryRun=true", payload: body });
    expect([dry.statusCode, tunnel.wishes.length]).toEqual([404, 1]);
  });

  it("says with exit 2 which line is wrong, and of which file there is none", async () => {
    const wrong = await shell.run(`apply -f ${file(`${SITE}prots: []\n`)}`);
    expect([wrong.code, wrong.err]).toEqual([
      2,
      expect.stringMatching(/site\.yaml:9: `prots` is not a known key. Did you mean `ports`\?/),
    ]);
    const none = await shell.run(`plan -f ${join(folder, "none.yaml")}`);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("there is no such file")]);
    expect((await shell.run("apply")).code).toBe(2);
    expect((await shell.run("plan")).code).toBe(2);
  });

  it("is undone as one change", async () => {
    await shell.run(`apply -f ${file(SITE.replace(/ {2}- \{ name: nas.*\n/, ""))}`);
    const plan = await shell.run("undo --dry-run --json");
    expect(plan.code).toBe(10);
    expect((JSON.parse(plan.out) as PlanDocument).objects.map(({ op, kind }) => `${op} ${kind}`).sort()).toEqual([
      "remove device",
      "remove port",
      "remove subnet",
    ]);
    const undone = await shell.run("undo --json");
    expect((JSON.parse(undone.out) as ResultDocument).changed).toBe(true);
    expect(names()).toEqual([]);
  });
});
