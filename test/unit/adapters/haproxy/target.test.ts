import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asHaproxySees, FILES } from "../../../../src/adapters/haproxy/config.ts";
import { askWhenChanged, InstalledHaproxy } from "../../../../src/adapters/haproxy/installed.ts";
import { createHaproxyTarget, type HaproxyTarget } from "../../../../src/adapters/haproxy/target.ts";
import { type SniRow, sniRowKey } from "../../../../src/lib/sni-row.ts";
import type { Change, Desired } from "../../../../src/reconcilers/contract.ts";
import { type SniObservation, sniRoutes } from "../../../../src/reconcilers/sni-routes.ts";
import { describeTargetConformance } from "../../reconcilers/target-conformance.ts";
import { FakeHaproxies } from "./fake-haproxy.ts";

const INSTANCE = "0011223344556677";
const WAN = "11.22.33.1";
const ROUTES = asHaproxySees(FILES.routes);
const VERSION = "HAProxy version 2.6.12-1+deb12u4\nFeature list : +LUA +TPROXY\n";

const desired = (spec: SniRow): Desired<SniRow> => ({ key: sniRowKey(spec), spec, owners: ["test"], revision: 1 });
const create = (spec: SniRow): Change<SniRow, SniObservation> => ({
  op: "create",
  key: sniRowKey(spec),
  desired: desired(spec),
});
const proxy: SniRow = { kind: "proxy", instanceId: INSTANCE, segments: ["10.59.7.0/24", "192.168.77.0/24"] };
const route = (name: string, toAddress = "192.168.77.2"): SniRow => ({
  kind: "route",
  address: WAN,
  port: 443,
  name,
  toAddress,
  toPort: 8443,
  source: "keep",
});
const fallback: SniRow = {
  kind: "fallback",
  address: WAN,
  port: 443,
  toAddress: "192.168.77.4",
  toPort: 1,
  source: "gateway",
};
const redirect: SniRow = { kind: "redirect", address: WAN };

interface Rig {
  readonly folder: string;
  readonly haproxies: FakeHaproxies;
  readonly target: HaproxyTarget;
  close(): void;
}

function open(said: string | null = VERSION): Rig {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-haproxy-"));
  const haproxies = new FakeHaproxies();
  const target = createHaproxyTarget({
    instanceId: INSTANCE,
    runtimeDir: folder,
    installed: new InstalledHaproxy(() => Promise.resolve(said)),
    program: haproxies,
    pollMs: 5,
    answerWithinMs: 50,
  });
  const watch = target.watch?.(() => undefined);
  return {
    folder,
    haproxies,
    target,
    close: () => {
      watch?.close();
      haproxies.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const { matches } = sniRoutes(() => {
  throw new Error("nothing is selected here");
});

describeTargetConformance(
  "the HAProxy target, over a fake one",
  { vouches: true, watches: true, rivals: false, refuses: true },
  async () => {
    const rig = open();
    return {
      target: rig.target,
      matches,
      ground: [desired(proxy)],
      rows: [route("a.example.com"), route("*.example.com", "192.168.77.3"), fallback, redirect].map(desired),
      changedFirst: desired(route("a.example.com", "192.168.77.9")),
      refused: desired(route("a.example.com\0.example.net")),
      tamper: async () => {
        rig.haproxies.ask(`del map ${ROUTES} ${WAN}:443/a.example.com`);
      },
      foreign: async () => "there is one HAProxy in this fake",
      close: async () => rig.close(),
    };
  },
);

describe("the HAProxy target", () => {
  const { signal } = new AbortController();
  let rig: Rig;
  beforeEach(() => {
    rig = open();
  });
  afterEach(() => rig.close());

  const apply = async (...changes: Change<SniRow, SniObservation>[]) => await rig.target.apply(changes, signal);
  const observe = async () => await rig.target.observe(signal);

  it("starts HAProxy with the rows in its files, and keeps them there", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    const folder = join(rig.folder, `haproxy-${INSTANCE}`);
    const text = () => readFileSync(join(folder, FILES.routes), "utf8");
    expect(text()).toBe(`${WAN}:443/a.example.com 192.168.77.2:8443:keep\n`);
    await apply(create(fallback));
    expect(text()).toBe(`${WAN}:443/a.example.com 192.168.77.2:8443:keep\n${WAN}:443/ 192.168.77.4:1:gateway\n`);
    expect(statSync(join(folder, "admin")).mode & 0o777).toBe(0o700);
    expect(rig.haproxies.starts).toBe(1);
  });

  it("changes no segment that stays, and removes those that are no more", async () => {
    await apply(create(proxy));
    const observed = (await observe()).get("proxy") as SniObservation;
    const other = { ...proxy, segments: ["192.168.77.0/24", "192.168.78.0/24"] } as SniRow;
    expect(matches(other, observed)).toBe(false);
    const outcomes = await apply({ op: "update", key: "proxy", desired: desired(other), observed });
    expect(outcomes).toEqual([{ key: "proxy", ok: true }]);
    expect((await observe()).get("proxy")).toEqual({ ...other, current: true });
    expect(rig.haproxies.starts).toBe(1);
  });

  it("refuses all and says why where HAProxy is not installed, or too old", async () => {
    rig.close();
    for (const [said, why] of [
      [null, "HAProxy is not installed: install the package haproxy (2.6 or newer)"],
      ["HA-Proxy version 1.8.4-1\n", "HAProxy is 1.8.4-1; shared TLS ports need 2.6 or newer"],
    ] as const) {
      rig = open(said);
      const [started, other] = await apply(create(proxy), create(route("a.example.com")));
      expect(rig.target.available()).toBe(false);
      for (const outcome of [started, other, (await apply(create(redirect)))[0]]) {
        expect(outcome).toMatchObject({ ok: false, error: { code: "SNI_UNAVAILABLE", message: why } });
      }
      expect((await observe()).size).toBe(0);
      rig.close();
    }
    rig = open();
  });

  it("goes on with one that runs when its program is removed, and starts it anew once it is back", async () => {
    let said: string | null = VERSION;
    const installed = new InstalledHaproxy(() => Promise.resolve(said));
    const { folder: runtimeDir, haproxies: program } = rig;
    const target = createHaproxyTarget({ instanceId: INSTANCE, runtimeDir, installed, program });
    const change = async (...plan: Change<SniRow, SniObservation>[]) => await target.apply(plan, signal);
    await change(create(proxy), create(route("a.example.com")));
    said = null;
    await installed.look();
    expect(target.condition()).toEqual({ running: true, missing: expect.stringContaining("not installed") });
    expect(target.available()).toBe(true);
    expect(await change(create(route("b.example.com")))).toEqual([{ key: `route|${WAN}|443|b.example.com`, ok: true }]);
    program.kill();
    await expect.poll(() => target.available()).toBe(false);
    expect((await target.observe(signal)).size).toBe(0);
    const all = [create(proxy), create(route("a.example.com"))];
    for (const outcome of await change(...all))
      expect(outcome).toMatchObject({ ok: false, error: { code: "SNI_UNAVAILABLE", disposition: "transient" } });
    said = VERSION;
    await installed.look();
    await expect.poll(async () => (await change(...all)).map(({ ok }) => ok), { timeout: 5000 }).toEqual([true, true]);
    expect(target.condition()).toEqual({ running: true, missing: null });
  });

  it("takes a running HAProxy over from the process before, as it is", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    const after = createHaproxyTarget({
      instanceId: INSTANCE,
      runtimeDir: rig.folder,
      installed: new InstalledHaproxy(() => Promise.resolve(VERSION)),
      program: rig.haproxies,
    });
    expect([...(await after.observe(signal)).keys()].sort()).toEqual(["proxy", `route|${WAN}|443|a.example.com`]);
    expect(await after.apply([create(fallback)], signal)).toEqual([{ key: `fallback|${WAN}|443`, ok: true }]);
    expect(rig.haproxies.starts).toBe(1);
  });

  it("replaces one that another version of ours started, with all it has", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    (rig.haproxies.current as { description: string }).description = `portreeve ${INSTANCE} 0000000000000000`;
    const before = createHaproxyTarget({
      instanceId: INSTANCE,
      runtimeDir: rig.folder,
      installed: new InstalledHaproxy(() => Promise.resolve(VERSION)),
      program: rig.haproxies,
    });
    const observed = (await before.observe(signal)).get("proxy") as SniObservation;
    expect(matches(proxy, observed)).toBe(false);
    expect(await before.apply([{ op: "update", key: "proxy", desired: desired(proxy), observed }], signal)).toEqual([
      { key: "proxy", ok: true },
    ]);
    expect(rig.haproxies.starts).toBe(2);
    expect(matches(proxy, (await before.observe(signal)).get("proxy") as SniObservation)).toBe(true);
    expect((await before.observe(signal)).has(`route|${WAN}|443|a.example.com`)).toBe(true);
  });

  it("leaves the one there is to its work when another one does not start in its place", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    const { current } = rig.haproxies;
    (current as { description: string }).description = `portreeve ${INSTANCE} 0000000000000000`;
    const after = createHaproxyTarget({
      instanceId: INSTANCE,
      runtimeDir: rig.folder,
      installed: new InstalledHaproxy(() => Promise.resolve(VERSION)),
      program: rig.haproxies,
    });
    rig.haproxies.fault = "HAProxy did not start: unknown keyword";
    const observed = (await after.observe(signal)).get("proxy") as SniObservation;
    const [outcome] = await after.apply([{ op: "update", key: "proxy", desired: desired(proxy), observed }], signal);
    expect(outcome).toMatchObject({ ok: false, error: { message: "HAProxy did not start: unknown keyword" } });
    expect(rig.haproxies.current).toBe(current);
    expect((await after.observe(signal)).has(`route|${WAN}|443|a.example.com`)).toBe(true);
  });

  it("has nothing to do with a HAProxy that is somebody else's", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    (rig.haproxies.current as { description: string }).description = "portreeve ffffffffffffffff 0000000000000000";
    const stranger = createHaproxyTarget({
      instanceId: INSTANCE,
      runtimeDir: rig.folder,
      installed: new InstalledHaproxy(() => Promise.resolve(VERSION)),
      program: rig.haproxies,
    });
    expect((await stranger.observe(signal)).size).toBe(0);
    expect(rig.haproxies.ask(`show map ${ROUTES}`)).toContain("a.example.com");
  });

  it("notices that HAProxy was killed, and starts it with what is wanted", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    await observe();
    const authors: string[] = [];
    rig.target.watch?.((by) => authors.push(by));
    rig.haproxies.kill();
    await expect.poll(() => authors, { interval: 5 }).toEqual(["whoever ended HAProxy"]);
    expect(rig.target.unchanged?.()).toBe(false);
    expect((await observe()).size).toBe(0);
    // Not more often than once a second, or one that cannot live would keep the machine busy.
    const [tooSoon] = await apply(create(proxy), create(route("a.example.com")));
    expect(tooSoon).toMatchObject({ ok: false, error: { code: "UNAVAILABLE", disposition: "transient" } });
    expect(rig.haproxies.starts).toBe(1);
  });

  it("ends one that hangs and holds the ports", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    const { current } = rig.haproxies;
    (current as { silent: boolean }).silent = true;
    rig.haproxies.stubborn = true;
    const after = createHaproxyTarget({
      instanceId: INSTANCE,
      runtimeDir: rig.folder,
      installed: new InstalledHaproxy(() => Promise.resolve(VERSION)),
      program: rig.haproxies,
      answerWithinMs: 20,
    });
    expect((await after.observe(signal)).size).toBe(0);
    expect(await after.apply([create(proxy)], signal)).toEqual([{ key: "proxy", ok: true }]);
    expect(rig.haproxies.current).not.toBe(current);
  });

  it("passes on why HAProxy did not start", async () => {
    rig.haproxies.fault = "HAProxy did not start: cannot bind socket (Address already in use) for [0.0.0.0:60443]";
    const [outcome] = await apply(create(proxy));
    expect(outcome).toMatchObject({ ok: false, error: { code: "UNAVAILABLE", disposition: "transient" } });
    expect(outcome).toHaveProperty("error.message", expect.stringContaining("Address already in use"));
  });

  it("shows what others put into the maps as astray, and takes it out", async () => {
    await apply(create(proxy), create(route("a.example.com")));
    rig.haproxies.ask(`add map ${ROUTES} ${WAN}:443/a.example.com 192.168.77.9:1:keep`);
    rig.haproxies.ask(`add map ${ROUTES} nonsense 1`);
    const rows = await observe();
    const astray = [...rows].filter(([, row]) => row.kind === "stray");
    expect(astray).toHaveLength(2);
    expect(rows.get(`route|${WAN}|443|a.example.com`)).toEqual(route("a.example.com"));
    await apply(...astray.map(([key, observed]) => ({ op: "delete", key, observed }) as const));
    expect([...(await observe()).keys()].sort()).toEqual(["proxy", `route|${WAN}|443|a.example.com`]);
  });

  it("ends HAProxy and leaves no file when nothing is wanted of it, and may start it again at once", async () => {
    await apply(create(proxy));
    const observed = (await observe()).get("proxy") as SniObservation;
    expect(await apply({ op: "delete", key: "proxy", observed })).toEqual([{ key: "proxy", ok: true }]);
    expect(rig.haproxies.current).toBeNull();
    expect(existsSync(join(rig.folder, `haproxy-${INSTANCE}`))).toBe(false);
    expect(await apply(create(proxy))).toEqual([{ key: "proxy", ok: true }]);
  });
});

describe("whether HAProxy is installed", () => {
  it("is asked of the program once, and again when it is another file or gave no answer", async () => {
    let [file, said, asked] = [null as string | null, null as string | null, 0];
    const ask = askWhenChanged(
      () => file,
      async () => {
        asked += 1;
        return said;
      },
    );
    expect([await ask(), asked]).toEqual([null, 0]);
    file = "haproxy 1";
    expect([await ask(), await ask(), asked]).toEqual([null, null, 2]);
    said = VERSION;
    expect([await ask(), await ask(), asked]).toEqual([VERSION, VERSION, 3]);
    file = "haproxy 2";
    said = "another";
    expect([await ask(), await ask(), asked]).toEqual(["another", "another", 4]);
    file = null;
    expect([await ask(), asked]).toEqual([null, 4]);
  });
});
