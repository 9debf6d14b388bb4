import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generateKeyPair } from "../../../src/adapters/wireguard/keys.ts";
import { mapRequest } from "../reducers/given.ts";
import { openShell, type Shell } from "./shell.ts";

let shell: Shell;
beforeEach(async () => {
  shell = await openShell();
  for (const line of [
    "subnet add home 10.59.7.0/24",
    "device add nas --kind server",
    "device add tv",
    "port add 25565/tcp nas",
    "port add 9000/udp tv",
  ])
    await shell.run(line);
});
afterEach(async () => await shell.close());

describe("what goes with a removal", () => {
  const ALONG = ", and with it device nas, device tv, port 9000/udp and port 25565/tcp";

  it("[W1] of a subnet is named before, with what can't be undone, and after", async () => {
    const asked = await shell.run("subnet remove home", { answer: "n" });
    expect(asked.err).toContain("remove home (10.59.7.0/24)");
    for (const each of ["device nas", "device tv", "port 9000/udp", "port 25565/tcp"])
      expect(asked.err, each).toContain(each);
    expect(asked.err).toMatch(/ \(it can't be undone: the keys of (nas|tv) are erased with it\)\? \[y\/N\]/);
    const done = await shell.run("subnet remove home --yes");
    expect(done).toMatchObject({ code: 0 });
    expect(done.out).toMatch(/^home 10\.59\.7\.0\/24 is removed, and with it /);
    expect(done.out.length).toBe(`home 10.59.7.0/24 is removed${ALONG}\n`.length);
    expect(await shell.json("port list")).toEqual([]);
  });

  it("[W2] of a device is its ports; of an empty subnet nothing", async () => {
    await shell.run("subnet add work 10.59.8.0/24");
    expect((await shell.run("device remove nas --yes")).out).toBe(
      "nas 10.59.7.2 is removed, and with it port 25565/tcp\n",
    );
    expect((await shell.run("subnet remove work --yes")).out).toBe("work 10.59.8.0/24 is removed\n");
    const refused = await shell.run("device remove tv");
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain("this needs a yes: remove tv (10.59.7.3), and with it port 9000/udp");
    expect(await shell.run("device remove tv --dry-run")).toMatchObject({ code: 10 });
  });
});

describe("what ends when a right is taken", () => {
  it.each([
    ["device demote bulb", "bulb 192.168.77.9 is a client now; this ended port 8080/tcp\n"],
    ["device deny bulb ports", "bulb 192.168.77.9 may use no more ports; this ended port 8080/tcp\n"],
  ])("[W2] is named: %s", async (line, said) => {
    await shell.run("device add bulb --kind server --lan lan0 --ip 192.168.77.9");
    const asked = { device: "192.168.77.9", suggestedPort: 8080, internalPort: 8080 };
    await shell.rig.submit(mapRequest(asked), "pcp:192.168.77.9");
    expect(await shell.run(line)).toMatchObject({ code: 0, out: said });
    expect((await shell.run("device promote tv")).out).toBe("tv 10.59.7.3 is a server now\n");
  });
});

describe("what is said of a device", () => {
  it("[W3] key tells its public key, and where its private one is", async () => {
    const { publicKey } = await shell.json<{ publicKey: string }>("device show nas");
    const kept = await shell.run("device key nas");
    expect(kept.out).toBe(`${publicKey}\n`);
    expect(kept.err).toContain("kept here, sealed");
    await shell.run("device forget-key nas --yes");
    expect((await shell.run("device key nas")).err).toContain("on the device alone");
    expect(await shell.json("device key nas")).toEqual({ name: "nas", publicKey, privateKeyKept: false });
    await shell.run("device add bulb --lan lan0 --ip 192.168.77.9");
    expect(await shell.run("device key bulb")).toMatchObject({ code: 2 });
  });

  it("[E4] a plan shows no key that nobody has made", async () => {
    await shell.run(`device add box --public-key ${generateKeyPair().publicKey}`);
    for (const line of ["plan device add phone", "plan device rekey box"]) {
      const { out } = await shell.run(line);
      expect(out, line).toMatch(/\bkey .*\ba new one, made here\b/);
      expect(out, line).not.toMatch(/A{20}/);
    }
  });

  it("[F2] port show names it", async () => {
    await shell.run("device add bulb --lan lan0 --ip 192.168.77.9");
    await shell.run("port add 80/tcp bulb");
    await shell.run("port add 82/tcp 192.168.77.10");
    expect((await shell.run("port show 80/tcp")).out).toMatch(/^device +bulb \(d[0-9a-f]{12}\)$/m);
    expect((await shell.run("port show 82/tcp")).out).toMatch(/^device +192\.168\.77\.10@lan0$/m);
    await shell.run("port add 81/tcp 203.0.113.9");
    expect((await shell.run("port show 81/tcp")).out).toMatch(/^device +none: the address is on no network/m);
  });

  it("[A4] status tells of WireGuard, its subnets and devices, and what to do first", async () => {
    const { settings } = shell.rig.controller.state;
    const wireguard = { interface: "wg-portreeve", listenPort: 51820, nonce: "same-host" } as const;
    expect((await shell.run("status")).out, "while it is off").not.toContain("wireguard");
    await shell.rig.submit({ type: "settings.set", settings: { ...settings, wireguard } });
    expect((await shell.run("status")).out).toMatch(/^wireguard +wg-portreeve .*2 devices in 1 subnet$/m);
    expect((await shell.run("")).err).not.toContain("device add NAME");
    for (const name of ["nas", "tv"]) await shell.run(`device remove ${name} --yes`);
    const { out, err } = await shell.run("");
    expect(out).toMatch(/^wireguard +0 devices in 1 subnet; wg-portreeve comes with the first device$/m);
    expect(err).toContain("portreeve device add NAME");
  });
});

describe("what is asked and refused is said in words", () => {
  it("[A4] so is what changed", async () => {
    await shell.run("device rekey nas --yes");
    await shell.run("device demote nas");
    await shell.run("device forget-key nas --yes");
    await shell.run("port edit 9000/udp --label tv");
    const { out } = await shell.run("events list --limit 8");
    for (const each of [": key [^{,]+", ": kind client, ports off, dns off", ": its private key erased here"])
      expect(out).toMatch(new RegExp(`device\\.changed +d[0-9a-f]{12}${each}$`, "m"));
    expect(out).toMatch(/mapping\.changed +m[0-9a-f]{12}: label tv$/m);
    expect(out).not.toContain("Secret");
  });

  it("[P11] request list says it as it is typed, with names", async () => {
    await shell.run("device deny nas ports");
    await shell.run("device allow tv 8080/tcp");
    await shell.run("device rekey tv --yes");
    await shell.run("port disable 9000/udp");
    await shell.run("subnet edit home --name house");
    await shell.run("device remove tv --yes");
    await shell.run("subnet remove house --yes");
    const requests = await shell.json<{ request: string }[]>("request list");
    expect(requests.map(({ request }) => request).reverse()).toEqual([
      "subnet add home 10.59.7.0/24",
      "device add nas, a server",
      "device add tv, a client",
      "port add tcp 25565 → 10.59.7.2:25565",
      "port add udp 9000 → 10.59.7.3:9000",
      "device edit nas: ports off",
      "device allow tv 8080/tcp",
      "device edit tv: new keys",
      "port edit 9000/udp: enabled false",
      "subnet edit home: name house",
      "device remove tv",
      "subnet remove house",
    ]);
  });

  it("[A4] a mistake is named without the place in the request", async () => {
    expect((await shell.run("device add 'my nas'")).err).toMatch(/^error: name: letters, digits and hyphens/);
    expect((await shell.run("user totp", { secrets: ["12"] })).err).toContain("error: code: six digits, as the auth");
  });

  it("[E5] undo of what can't come back says what it is", async () => {
    await shell.run("token add grafana --scope read");
    const asked = await shell.run("undo");
    expect(asked).toMatchObject({ code: 2 });
    expect(asked.err).toContain(
      "remove token grafana, which can't be undone (the secret of grafana is erased with it)",
    );
  });
});
