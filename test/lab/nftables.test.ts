import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ForwardRow, GuardRow } from "../../src/reducers/select/rows.ts";
import { eventually } from "./lab.ts";
import { listForeignTables, makeForeignTables } from "./foreign-tables.ts";
import { DriverError } from "./driver.ts";
import { create, keyOf, mappingRows, NftablesDriver, remove, update } from "./nftables-driver.ts";
import { createTopology, type Host, missingForLab, type Topology, WAN_GATEWAY } from "./topology.mjs";

const INSTANCE = "0011223344556677";
const OTHER_INSTANCE = "8899aabbccddeeff";
const SKELETON: ForwardRow = { kind: "skeleton", instanceId: INSTANCE, wans: ["wan0"], lans: ["lan0"] };
const GUARD: GuardRow = { kind: "guard", instanceId: INSTANCE, wans: ["wan0"], lans: ["lan0"], requestsPerSecond: 50 };
const ANCHOR: GuardRow = { kind: "anchor", instanceId: INSTANCE };
const CLIENT = "192.168.77.2";
const TCP80: ForwardRow = {
  kind: "forward",
  address: WAN_GATEWAY,
  protocol: "tcp",
  port: 80,
  toAddress: CLIENT,
  toPort: 8080,
};
const RANGE: ForwardRow = {
  kind: "range",
  address: WAN_GATEWAY,
  protocol: "udp",
  firstPort: 4000,
  lastPort: 4099,
  toAddress: CLIENT,
};
const OURS: ForwardRow = { kind: "ours", protocol: "udp", port: 51820 };

const missing = missingForLab();

describe.skipIf(missing !== null)("nftables targets on a real kernel", () => {
  let topology: Topology;
  let gateway: Host;
  let driver: NftablesDriver;
  const others: NftablesDriver[] = [];
  const nft = (...args: string[]): Promise<string> => gateway.exec("nft", ...args);
  const listed = (): Promise<string> => nft("list", "ruleset");
  const another = (instanceId: string): NftablesDriver => {
    const made = new NftablesDriver(gateway, instanceId);
    others.push(made);
    return made;
  };

  beforeEach(async () => {
    topology = await createTopology();
    gateway = topology.gateway;
    driver = new NftablesDriver(gateway, INSTANCE);
  });
  afterEach(async () => {
    for (const each of [driver, ...others.splice(0)]) await each.close();
    await topology.close();
  });

  const applyAll = async (rows: readonly ForwardRow[]): Promise<void> => {
    const outcomes = await driver.apply("forwards", rows.map(create));
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  };
  const byKey = (rows: readonly (ForwardRow | GuardRow)[]): Record<string, ForwardRow | GuardRow> =>
    Object.fromEntries(rows.map((row) => [keyOf(row), row]));

  it("changes nothing in the kernel by being opened, listed or asked for others", async () => {
    expect(await driver.observe("forwards")).toEqual({});
    expect(await driver.observe("guard")).toEqual({});
    expect(await driver.foreign()).toBeNull();
    expect(await driver.tracksCommits()).toBe(true);
    expect(await listed()).toBe("");
  });

  it("reports each kind of row as it was applied, changed and removed", async () => {
    const rows = [SKELETON, ...(mappingRows("udp", 9000, CLIENT, 9001) as ForwardRow[]), TCP80, RANGE, OURS];
    await applyAll(rows);
    expect(await driver.observe("forwards")).toEqual(byKey(rows));

    const moved = { ...TCP80, toAddress: "192.168.77.3" } as ForwardRow;
    const elsewhere = { ...RANGE, toAddress: "192.168.77.3" } as ForwardRow;
    await driver.apply("forwards", [remove(OURS), update(moved, TCP80), update(elsewhere, RANGE)]);
    const expected = byKey([...rows, moved, elsewhere]);
    delete expected[keyOf(OURS)];
    expect(await driver.observe("forwards")).toEqual(expected);
    expect(await nft("list", "map", "inet", "portreeve", "forwards")).toContain(
      `${WAN_GATEWAY} . tcp . 80 : 192.168.77.3 . 8080`,
    );

    await driver.apply("forwards", [remove(SKELETON)]);
    expect(await listed()).toBe("");
    expect(await driver.observe("forwards")).toEqual({});
  });

  it("reports guard, anchor and holders as they were applied, and removes them", async () => {
    const holder: GuardRow = { kind: "holder", address: CLIENT };
    const rows = [ANCHOR, GUARD, holder];
    expect(await driver.apply("guard", rows.map(create))).toEqual(rows.map((row) => ({ key: keyOf(row), ok: true })));
    expect(await driver.observe("guard")).toEqual(byKey(rows));
    await driver.apply("guard", [remove(holder)]);
    expect(await driver.observe("guard")).toEqual(byKey([ANCHOR, GUARD]));
    await driver.apply("guard", [remove(ANCHOR), remove(GUARD)]);
    expect(await listed()).toBe("");
  });

  it("succeeds in removing what is absent and in making what is there, whatever the plan believed", async () => {
    await applyAll([SKELETON, TCP80, RANGE]);
    await nft("delete", "element", "inet", "portreeve", "forwards", `{ ${WAN_GATEWAY} . tcp . 80 }`);
    const moved = { ...RANGE, toAddress: "192.168.77.9" } as ForwardRow;
    const plan = [remove(TCP80), remove(OURS), create(moved), create(OURS), create(OURS)];
    expect((await driver.apply("forwards", plan)).filter(({ ok }) => !ok)).toEqual([]);
    expect((await driver.apply("forwards", [update(TCP80, TCP80)])).filter(({ ok }) => !ok)).toEqual([]);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, moved, OURS, TCP80]));
  });

  it("refuses exactly the rows the kernel refuses and applies the rest in the same call", async () => {
    const good = Array.from({ length: 40 }, (_, index): ForwardRow => ({ ...TCP80, port: 1000 + index }));
    const overlapping = { ...RANGE, firstPort: 4050, lastPort: 4150 } as ForwardRow;
    const inside = { ...RANGE, firstPort: 4010, lastPort: 4020 } as ForwardRow;
    const rows = [SKELETON, RANGE, ...good.slice(0, 13), overlapping, ...good.slice(13, 30), inside, ...good.slice(30)];
    const outcomes = await driver.apply("forwards", rows.map(create));
    const refused = outcomes.filter(({ ok }) => !ok);
    expect(refused.map(({ key }) => key)).toEqual([keyOf(overlapping), keyOf(inside)]);
    expect(refused[0]).toMatchObject({ error: { code: "EEXIST", disposition: "transient" } });
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, RANGE, ...good]));
  });

  it("says at once who changed our table, and nothing of who changed another", async () => {
    await applyAll([SKELETON, TCP80]);
    await driver.observe("forwards");
    expect(await driver.unchanged("forwards")).toBe(true);
    await nft("add", "table", "inet", "somebody");
    expect(await driver.unchanged("forwards")).toBe(true);
    await nft("delete", "element", "inet", "portreeve", "forwards", `{ ${WAN_GATEWAY} . tcp . 80 }`);
    expect(await driver.unchanged("forwards")).toBe(false);
    expect(await driver.unchanged("guard")).toBe(false);
    const drifts = await eventually(async () => {
      const seen = await driver.drifts();
      expect(seen).not.toEqual([]);
      return seen;
    }, 500);
    expect(drifts).toEqual([{ target: "forwards", by: expect.stringMatching(/^nft \(\d+\)$/) }]);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON]));
    expect(await driver.unchanged("forwards")).toBe(true);
  });

  it.each([
    ["a rule was added", ["add", "rule", "inet", "portreeve", "forward", "accept"]],
    ["a chain was emptied", ["flush", "chain", "inet", "portreeve", "inward"]],
    ["a chain was added", ["add", "chain", "inet", "portreeve", "evil"]],
    ["a set was added", ["add", "set", "inet", "portreeve", "evil", "{ type ipv4_addr; }"]],
    ["the mark was removed", ["flush", "set", "inet", "portreeve", "instance"]],
    ["the table was made dormant", ["add", "table", "inet", "portreeve", "{ flags dormant; }"]],
    ["an element that is no row appeared", ["add", "element", "inet", "portreeve", "ours", "{ sctp . 5 }"]],
  ])("sees when %s, and mends it without losing an element", async (_, command) => {
    await applyAll([SKELETON, TCP80, RANGE, OURS]);
    const before = await nft("-s", "list", "table", "inet", "portreeve");
    await nft(...command);
    const drifted = await driver.observe("forwards");
    expect(drifted["skeleton"]).toEqual({ kind: "skeleton", instanceId: "", wans: [], lans: [] });
    await driver.apply("forwards", [update(SKELETON, drifted["skeleton"] as ForwardRow)]);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, TCP80, RANGE, OURS]));
    expect(await nft("-s", "list", "table", "inet", "portreeve")).toBe(before);
  });

  it("replaces a table whose maps are of another type, with what it can keep", async () => {
    await nft("add", "table", "inet", "portreeve");
    await nft(
      "add",
      "map",
      "inet",
      "portreeve",
      "forwards",
      "{ type ipv4_addr : ipv4_addr; elements = { 1.1.1.1 : 2.2.2.2 } }",
    );
    await nft(
      "add",
      "set",
      "inet",
      "portreeve",
      "ours",
      "{ type inet_proto . inet_service; elements = { udp . 51820 } }",
    );
    const found = await driver.observe("forwards");
    await driver.apply("forwards", [update(SKELETON, found["skeleton"] as ForwardRow), create(TCP80)]);
    // The first writing of a skeleton over someone else's is not remembered as ours.
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, TCP80, OURS]));
  });

  it("tells its own commits from those of a concurrent writer", async () => {
    await applyAll([SKELETON]);
    await driver.observe("forwards");
    let running = true;
    const writer = (async () => {
      for (let index = 0; running; index += 1) {
        await nft("add", "table", "inet", `other${index % 5}`);
        await nft("delete", "table", "inet", `other${index % 5}`);
      }
    })();
    for (let index = 0; index < 200; index += 1) {
      await driver.apply("forwards", [create({ ...TCP80, port: 2000 + index })]);
    }
    expect(await driver.unchanged("forwards")).toBe(true);
    expect(await driver.drifts()).toEqual([]);

    for (let index = 0; index < 20; index += 1) {
      const apply = driver.apply("forwards", [create({ ...TCP80, port: 3000 + index })]);
      await nft("delete", "element", "inet", "portreeve", "forwards", `{ ${WAN_GATEWAY} . tcp . ${2000 + index} }`);
      await apply;
      expect(await driver.unchanged("forwards")).toBe(false);
      await driver.observe("forwards");
      expect(await driver.unchanged("forwards")).toBe(true);
    }
    running = false;
    await writer;
  });

  it("refuses tables of another instance, says whether it lives, and takes them over as they are", async () => {
    await applyAll([SKELETON, TCP80]);
    await driver.apply("guard", [create(ANCHOR)]);
    const second = another(OTHER_INSTANCE);
    expect(await second.foreign()).toEqual({ instanceId: INSTANCE, live: true });
    await expect(second.observe("forwards")).rejects.toMatchObject({ code: "FOREIGN_INSTANCE" });
    await expect(second.apply("forwards", [remove(TCP80)])).rejects.toBeInstanceOf(DriverError);
    expect((await second.apply("guard", [create({ ...ANCHOR, instanceId: OTHER_INSTANCE })]))[0]).toMatchObject({
      ok: false,
      error: { code: "EPERM" },
    });
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, TCP80]));

    await driver.close();
    expect(await second.foreign()).toEqual({ instanceId: INSTANCE, live: false });
    await second.takeOver(INSTANCE);
    expect(await second.foreign()).toBeNull();
    expect(Object.keys(await second.observe("forwards")).sort()).toEqual([keyOf(TCP80), "skeleton"].sort());
    driver = another(INSTANCE);
    await expect(driver.observe("forwards")).rejects.toMatchObject({ code: "FOREIGN_INSTANCE" });
  });

  it("takes a live process with a copy of our data for a foreign instance", async () => {
    await driver.apply("guard", [create(ANCHOR)]);
    const copy = another(INSTANCE);
    expect(await copy.foreign()).toEqual({ instanceId: INSTANCE, live: true });
    await expect(copy.observe("guard")).rejects.toMatchObject({ code: "FOREIGN_INSTANCE" });
  });

  it("leaves tables at its end, finds them again, and removes only its own when told to", async () => {
    await makeForeignTables(gateway);
    const foreign = await listForeignTables(gateway);
    await applyAll([SKELETON, TCP80]);
    await driver.apply("guard", [create(ANCHOR), create(GUARD)]);
    await driver.kill();
    expect(await nft("list", "tables")).not.toContain("portreeve_anchor");

    driver = new NftablesDriver(gateway, INSTANCE);
    expect(await driver.foreign()).toBeNull();
    const found = await driver.observe("forwards");
    expect(found[keyOf(TCP80)]).toEqual(TCP80);
    await driver.apply("forwards", [update(SKELETON, found["skeleton"] as ForwardRow)]);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, TCP80]));
    await driver.apply("guard", [create(ANCHOR)]);
    await driver.removeAll();
    expect(await nft("list", "tables")).not.toContain("portreeve");
    expect(await listForeignTables(gateway)).toEqual(foreign);
  });

  it("takes a range away only if that very range is there", async () => {
    await applyAll([SKELETON, RANGE]);
    const inside = { ...RANGE, firstPort: 4050, lastPort: 4060 } as ForwardRow;
    expect(await driver.apply("forwards", [remove(inside)])).toEqual([{ key: keyOf(inside), ok: true }]);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, RANGE]));
  });

  it("works through the nft program where the library cannot be loaded, all but the anchor", async () => {
    await driver.close();
    driver = new NftablesDriver(gateway, INSTANCE, "program");
    expect(await driver.tracksCommits()).toBe(false);
    const overlapping = { ...RANGE, firstPort: 4050, lastPort: 4150 } as ForwardRow;
    const outcomes = await driver.apply("forwards", [SKELETON, TCP80, RANGE, overlapping].map(create));
    expect(outcomes.filter(({ ok }) => !ok)).toMatchObject([{ key: keyOf(overlapping), error: { code: "EEXIST" } }]);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, TCP80, RANGE]));
    expect(await driver.unchanged("forwards")).toBe(false);
    expect(await driver.apply("guard", [create(ANCHOR), create(GUARD)])).toMatchObject([
      { key: "anchor", ok: false, error: { code: "EOPNOTSUPP" } },
      { key: "guard", ok: true },
    ]);
    expect(await driver.observe("guard")).toEqual(byKey([GUARD]));
    await driver.removeAll();
    expect(await listed()).toBe("");
  });

  it("replaces a thread that died, says so, and keeps the anchor, which the process holds", async () => {
    await applyAll([SKELETON, TCP80]);
    await driver.apply("guard", [create(ANCHOR)]);
    await driver.observe("forwards");
    await driver.observe("guard");
    await driver.killThread();
    await eventually(async () => expect((await driver.drifts()).map(({ target }) => target)).toContain("guard"));
    expect(await driver.unchanged("forwards")).toBe(false);
    expect(await driver.unchanged("guard")).toBe(false);
    expect(await driver.observe("forwards")).toEqual(byKey([SKELETON, TCP80]));
    expect(await driver.observe("guard")).toEqual(byKey([ANCHOR]));
    expect(await driver.foreign()).toBeNull();
    await applyAll([RANGE]);
    expect(await driver.unchanged("forwards")).toBe(true);
    await nft("flush", "ruleset");
    expect(await nft("list", "tables")).toBe("table inet portreeve_anchor\n");
  });

  it("lets nobody flush or delete the anchor while it runs", async () => {
    await driver.apply("guard", [create(ANCHOR), create(GUARD)]);
    await expect(nft("delete", "table", "inet", "portreeve_anchor")).rejects.toThrow(/not permitted/);
    await nft("flush", "ruleset");
    expect(await driver.observe("guard")).toEqual(byKey([ANCHOR]));
  });
});
