import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generateKeyPair, generatePresharedKey, textOf } from "../../../src/adapters/wireguard/keys.ts";
import { readImport } from "../../../src/daemon/import.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { FakeTunnel } from "../api/rig.ts";
import type { MemorySecrets } from "../api/memory-secrets.ts";
import { openShell, type Shell } from "./shell.ts";

describe("import", () => {
  let shell: Shell;
  let folder: string;
  beforeEach(async () => {
    shell = await openShell();
    folder = mkdtempSync(join(tmpdir(), "portreeve-import-"));
  });
  afterEach(async () => {
    await shell.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const run = (line: string) => shell.run(line, { programs: { readImport: async (...asked) => readImport(...asked) } });

  it("plans first; --apply keeps the keys, sealed; and once more changes nothing", async () => {
    const [server, phone, psk] = [generateKeyPair(), generateKeyPair(), textOf(generatePresharedKey())];
    const file = join(folder, "wg0.json");
    const client = {
      name: "Phone",
      address: "10.8.0.2",
      privateKey: textOf(phone.privateKey),
      publicKey: phone.publicKey,
      preSharedKey: psk,
    };
    writeFileSync(
      file,
      JSON.stringify({
        server: { privateKey: textOf(server.privateKey), address: "10.8.0.1" },
        clients: { a: client },
      }),
    );
    const { controller, deps } = shell.rig;
    const { seq } = controller.state;
    const planned = await run(`import wg-easy ${file}`);
    expect([planned.code, controller.state.seq]).toEqual([10, seq]);
    expect(planned.out).toContain("+ device phone");
    expect(planned.err).toContain("note: Phone is called phone here");
    const done = await run(`import wg-easy ${file} --apply`);
    expect([done.code, done.out]).toEqual([0, expect.stringContaining("+ device phone")]);
    expect([...tableRows(controller.state.devices)]).toEqual([
      expect.objectContaining({ name: "phone", publicKey: phone.publicKey, managedBy: "wg-easy" }),
    ]);
    expect(controller.state.wireguard?.publicKey).toBe(server.publicKey);
    const wish = (deps.tunnel as FakeTunnel).wishes[0];
    expect([wish?.privateKey, wish?.presharedKey].map((each) => each && textOf(each))).toEqual([
      textOf(phone.privateKey),
      psk,
    ]);
    const sealed = (deps.secrets as MemorySecrets).kept.get(controller.state.wireguard?.privateKeySecret ?? "");
    expect(sealed && textOf(sealed.material)).toBe(textOf(server.privateKey));
    const after = controller.state.seq;
    expect((await run(`import wg-easy ${file} --apply`)).out).toContain("It is so already");
    expect(controller.state.seq).toBe(after);
    for (const text of [planned.out, planned.err, done.out, done.err, JSON.stringify(controller.state)]) {
      for (const key of [textOf(phone.privateKey), textOf(server.privateKey), psk]) expect(text).not.toContain(key);
    }
  });

  it("says what is wrong with a file, and of which there is none", async () => {
    const file = join(folder, "leases");
    writeFileSync(file, "TCP:0:192.168.77.2:443:0:\n");
    const wrong = await run(`import miniupnpd ${file}`);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("line 1: must be like TCP:8443")]);
    expect((await run(`import miniupnpd ${join(folder, "none")}`)).code).toBe(3);
    expect((await run(`import starttunnel ${folder}`)).err).toContain("one file is expected");
    expect((await run(`import openvpn ${file}`)).code).toBe(2);
  });

  it("reads no file without end, nor a pipe in a folder that nobody writes to", async () => {
    const endless = await run("import wg-easy /dev/zero");
    expect([endless.code, endless.err]).toEqual([2, expect.stringContaining("has more than 64 MiB")]);
    execFileSync("mkfifo", [join(folder, "peer.conf")]);
    const pipe = await run(`import wg-quick ${folder}`);
    expect(pipe.err).toContain("peer.conf in it is no file");
    const declared = await run("plan --file /dev/zero");
    expect([declared.code, declared.err]).toEqual([2, expect.stringContaining("has more than 16 MiB")]);
  });

  it("takes no private key that is not of the public key it comes with", async () => {
    const declaration = {
      name: "x",
      subnets: [{ name: "s", prefix: "10.8.0.0/24" }],
      devices: [{ name: "a", subnet: "s", publicKey: generateKeyPair().publicKey }],
    };
    const keys = { a: { privateKey: textOf(generateKeyPair().privateKey), presharedKey: null } };
    const sent = await shell.rig.app.inject({
      method: "POST",
      url: "/api/v1/declaration",
      payload: { declaration, keys },
    });
    expect([sent.statusCode, sent.json<{ detail: string }>().detail]).toEqual([
      400,
      expect.stringContaining("device a: its public key"),
    ]);
  });
});
