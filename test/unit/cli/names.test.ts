import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RecordChange } from "../../../src/lib/dns-record.ts";
import { deviceNamed } from "../../../src/reducers/device.ts";
import { openShell, type Shell } from "./shell.ts";

let shell: Shell;
beforeEach(async () => {
  shell = await openShell();
  const { settings } = shell.rig.controller.state;
  const wireguard = { interface: "wg0", listenPort: 51820, nonce: "same-host" } as const;
  const lan = settings.lan.map((each) => ({ ...each, dns: true }));
  await shell.rig.submit({ type: "settings.set", settings: { ...settings, wireguard, lan } }, "controller");
  for (const line of ["subnet add home 10.59.7.0/24", "device add nas --kind server", "device add laptop"])
    await shell.run(line);
  const keyed = { publicKey: Buffer.alloc(32, 255).toString("base64"), privateKeySecret: `s${"f".repeat(32)}` };
  await shell.rig.submit({ type: "wireguard.key", ...keyed }, "controller");
});
afterEach(async () => await shell.close());

const A: RecordChange = { kind: "add", name: "shop.example.com", type: "A", ttl: 300, value: "10.59.7.2" };

async function update(name: string, changes: RecordChange[]): Promise<void> {
  const device = deviceNamed(shell.rig.controller.state, name);
  const update = { zone: "example.com", prerequisites: [], changes, lease: null };
  const sent = { type: "dns.update", device: device?.id ?? "", interface: "wg0", signed: true, update } as const;
  await shell.rig.submit(sent, `dns:${device?.address}`);
}

describe("names", () => {
  it("[D3] are added, listed, edited, explained, removed, and given back", async () => {
    const added = await shell.run("dns add Printer.Home.Arpa. a 10.59.7.9 --ttl 60");
    expect(added).toMatchObject({ code: 0, out: "printer.home.arpa A 10.59.7.9 is there\n" });
    await shell.run("dns add printer.home.arpa TXT hello  world");
    expect(await shell.json("dns list --name printer.home.arpa")).toMatchObject([
      { type: "A", value: "10.59.7.9", ttl: 60, source: "manual", device: null, expiresAt: null, views: null },
      { type: "TXT", value: '"hello world"', ttl: 300 },
    ]);
    expect((await shell.run("dns edit printer.home.arpa A --to 10.59.7.10")).out).toBe(
      "printer.home.arpa A 10.59.7.10 is changed\n",
    );
    expect((await shell.run("why record printer.home.arpa")).out).toContain("printer.home.arpa A 10.59.7.10");
    const refused = await shell.run("dns remove printer.home.arpa --yes");
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("2 records fit");
    expect((await shell.run("dns remove printer.home.arpa A --yes")).out).toBe(
      "printer.home.arpa A 10.59.7.10 is removed\n",
    );
    await shell.run("undo");
    expect(await shell.json("dns list --name printer.home.arpa")).toMatchObject([{ value: "10.59.7.10" }, {}]);
  });

  it("[A4] of no use are told in a sentence", async () => {
    for (const [line, said] of [
      ["dns add a..b A 10.59.7.9", "a..b is no name"],
      ["dns add a.lan A 10.59.7.999", "10.59.7.999 is no value of type A"],
      ["dns add a.lan WHAT x", "WHAT is no record type"],
      ["dns add a.lan A 10.59.7.9 --view office", "there is no subnet office"],
      ["dns remove nas.home.internal --yes", "nas.home.internal is what nas is called by itself"],
      ["dns remove nobody.lan --yes", "there is no such record at nobody.lan"],
    ]) {
      const { code, err } = await shell.run(line as string);
      expect([line, code === 0, err]).toEqual([line, false, expect.stringContaining(said as string)]);
    }
  });

  it.each([
    ["dns ask bad..name", 2, "bad..name is no name, as in nas.home.arpa (INVALID_REQUEST)"],
    ["dns ask www.example.com FOO", 2, "FOO is no record type, as in A, TXT or TYPE65280 (INVALID_REQUEST)"],
    ["dns add x.localhost A 10.59.7.9", 2, "x.localhost would be heard by nobody"],
    ["subnet edit home --dns ,", 2, "--dns names no server"],
    ["subnet edit home --dns 10.59.7.1", 2, "10.59.7.1 is this gateway's own resolver, which would ask itself"],
    ["subnet edit home --zone com", 2, "com is where others register names: all of them would be answered"],
    ["subnet edit home --zone co.uk", 2, "as in home.example.org; if it is nobody's, list it under dns.privateZones"],
    ["subnet edit home --zone localhost", 2, "localhost can't be the zone of a subnet"],
    ["why record nas.home.internal", 3, "it is nas's by itself; `portreeve why device nas` tells of it (NOT_FOUND)"],
    ["why record 2.7.59.10.in-addr.arpa", 3, "it is nas's by itself"],
    ["why record none.home.internal", 3, "there is no record none.home.internal"],
  ])("[A4] `%s` ends with %d and says why", async (line, code, why) => {
    const said = await shell.run(line);
    expect(said).toMatchObject({ code, err: expect.stringContaining(why) });
  });

  it("[D7] [D3] of devices are listed with theirs, and go with what is said before", async () => {
    await update("nas", [A]);
    expect(await shell.json("dns list --device nas")).toMatchObject([
      { name: "shop.example.com", source: "update", device: { name: "nas" }, expiresAt: expect.any(String) as string },
      { name: "nas.home.internal", source: "device", value: "10.59.7.2" },
    ]);
    const denied = await shell.run("device deny nas dns");
    expect(denied.out).toContain("this ended record shop.example.com A 10.59.7.2");
    expect(await shell.json("dns list --name shop.example.com")).toEqual([]);
  });

  it("[D3] that a device asks for are allowed, and denied, by themselves", async () => {
    await shell.run("device ask laptop dns");
    expect((await shell.run("device allow laptop Shop.Example.com")).out).toContain("may now use Shop.Example.com");
    await update("laptop", [A]);
    expect(await shell.json("dns list --name shop.example.com")).toMatchObject([{ device: { name: "laptop" } }]);
    expect((await shell.run("device deny laptop shop.example.com")).out).toContain("this ended");
    expect(await shell.json("dns list --name shop.example.com")).toEqual([]);
  });

  it("[D2] are signed with a key that is shown in the forms that programs take, and each showing is logged", async () => {
    const key = await shell.run("device key nas --dns");
    expect(key.out).toMatch(
      /^key "nas\.home\.internal" \{\n\talgorithm hmac-sha256;\n\tsecret "[A-Za-z0-9+/]{43}=";\n\};\n$/,
    );
    expect((await shell.run("device key nas --form lego")).out).toContain("RFC2136_NAMESERVER=10.59.7.1:53");
    await shell.run("device add tv --lan lan0 --ip 192.168.77.30");
    const [first, second] = [await shell.run("device key tv --dns"), await shell.run("device key tv --dns")];
    expect(first).toMatchObject({ code: 0, out: second.out });
    expect((await shell.run("events list --type secret.shown --json")).out.match(/dns-key/g)).toHaveLength(4);
    expect((await shell.run("events list --limit 1000 --json")).out).not.toContain(
      /secret "([^"]+)"/.exec(first.out)?.[1],
    );
  });

  it("[D5] are asked for at one network's resolver, which is named where there are others", async () => {
    const first = await shell.run("dns ask nas.home.arpa");
    expect(first.out).toContain("This is what home is answered; `--view lan:lan0` asks as another network (lan:lan0).");
    expect((await shell.run("dns ask nas.home.arpa --view lan:lan0")).out).not.toContain("--view");
    const said = await shell.json("dns ask nas.home.arpa --view lan:lan0");
    expect(said).toMatchObject({ view: "lan:lan0", viewName: "lan:lan0", otherViews: ["home"] });
    await shell.run("subnet remove home --yes");
    expect((await shell.run("dns ask nas.home.arpa")).out).not.toContain("--view");
  });

  it("[W1] a subnet's zone is made of its name until one is named", async () => {
    expect(await shell.json("subnet list")).toMatchObject([{ zone: "home.internal", zoneIsDefault: true }]);
    await shell.run("subnet edit home --zone house.example");
    expect(await shell.json("dns list --device nas")).toMatchObject([{ name: "nas.house.example" }]);
    await shell.run("subnet edit home --zone default");
    expect(await shell.json("subnet list")).toMatchObject([{ zone: "home.internal" }]);
  });
});
