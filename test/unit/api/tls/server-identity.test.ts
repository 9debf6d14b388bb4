import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmodSync, copyFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import { beforeEach, describe, expect, it } from "vitest";
import { servedNames, serverIdentity } from "../../../../src/api/tls/server-identity.ts";
import { temporaryDirectory } from "../../events/samples.ts";
import type { MemorySecrets } from "../memory-secrets.ts";
import { makeRig, type Rig } from "../rig.ts";

const DAY = 86_400_000;

let rig: Rig;
let now: number;
let names: string[];
beforeEach(async () => {
  rig = await makeRig();
  now = Date.UTC(2026, 0, 1);
  names = ["192.0.2.1", "localhost"];
});

const own = () => serverIdentity({ ...rig.deps, wallClock: () => now }, { tls: "own-ca", names: () => names });
const shownNames = (pem: string) => new X509Certificate(pem).subjectAltName;

describe("an authority of our own", () => {
  it("[A10] is made once; its key is sealed and no leaf's key is", async () => {
    const first = await own();
    const again = await own();
    expect(again.authority).toEqual(first.authority);
    expect(
      new X509Certificate(again.shown.cert).verify(new X509Certificate(first.authority?.certificate ?? "").publicKey),
    ).toBe(true);
    expect([...(rig.deps.secrets as MemorySecrets).kept.values()].map(({ kind }) => kind)).toEqual(["ca-key"]);
  });

  it("[A10] renews the leaf a month before it ends, and when an address comes or goes, and not otherwise", async () => {
    const identity = await own();
    expect(await identity.renew()).toBeNull();
    now += 59 * DAY;
    expect(await identity.renew()).toBeNull();
    now += 2 * DAY;
    const renewed = await identity.renew();
    expect(Date.parse(new X509Certificate(renewed?.cert ?? "").validTo)).toBeGreaterThan(now + 89 * DAY);
    names = ["192.0.2.1", "198.51.100.7", "localhost"];
    const moved = await identity.renew();
    expect(shownNames(moved?.cert ?? "")).toContain("198.51.100.7");
    expect(await identity.renew()).toBeNull();
  });

  it("is made anew half a year before it ends", async () => {
    const first = await own();
    now = Date.parse(new X509Certificate(first.authority?.certificate ?? "").validTo) - 100 * DAY;
    const next = await own();
    expect(next.authority?.fingerprint).not.toBe(first.authority?.fingerprint);
    expect([...(rig.deps.secrets as MemorySecrets).kept], "the old key is erased").toHaveLength(1);
  });

  it("[A10] a renewed leaf is shown to who comes next, and no connection ends for it", async () => {
    const identity = await own();
    const server = createServer({ ...identity.shown }, (_, response) => response.end("ok"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const dial = async () => {
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
      await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
      return socket;
    };
    const before = await dial();
    names = [...names, "198.51.100.7"];
    server.setSecureContext((await identity.renew()) ?? {});
    const after = await dial();
    expect(after.getPeerX509Certificate()?.subjectAltName).toContain("198.51.100.7");
    const answer = new Promise<string>((resolve) => before.once("data", (data) => resolve(data.toString())));
    before.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await answer).toContain("200 OK");
    for (const socket of [before, after]) socket.destroy();
    server.close();
  });
});

describe("a certificate that somebody else renews", () => {
  const make = (folder: string, name: string) => {
    const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "9",
        "-subj",
        `/CN=${name}`,
        "-keyout",
        key,
        "-out",
        certificate,
      ],
      { stdio: "ignore" },
    );
    chmodSync(key, 0o600);
    return { key, certificate };
  };
  const imported = (files: { key: string; certificate: string }) =>
    serverIdentity(rig.deps, { tls: files, names: () => names });

  it("[A10] is read again when its files change, and kept while half of the pair is there", async () => {
    const folder = temporaryDirectory();
    const [used, next] = [make(folder, "used"), make(folder, "next")];
    const warned: string[] = [];
    const log = { ...rig.deps.log, warn: (_: object, message: string) => void warned.push(message) };
    const identity = await serverIdentity({ ...rig.deps, log }, { tls: used, names: () => names });
    expect(identity.authority).toBeNull();
    expect(await identity.renew()).toBeNull();
    copyFileSync(next.certificate, used.certificate);
    utimesSync(used.certificate, 1, 1);
    expect(await identity.renew()).toBeNull();
    expect(warned).toHaveLength(1);
    copyFileSync(next.key, used.key);
    expect(new X509Certificate((await identity.renew())?.cert ?? "").subject).toBe("CN=next");
  });

  it("is refused with what is wrong: a key of another, one that everyone reads, none", async () => {
    const folder = temporaryDirectory();
    const [one, other] = [make(folder, "one"), make(folder, "other")];
    const refusal = (files: { key: string; certificate: string }) => expect(imported(files)).rejects;
    await refusal({ ...one, key: other.key }).toMatchObject({ code: "CONFIG_INVALID", message: /is not the key of/ });
    await refusal({ ...one, key: join(folder, "none") }).toMatchObject({ code: "CONFIG_INVALID" });
    chmodSync(one.key, 0o644);
    await refusal(one).toThrow(/chmod/);
    writeFileSync(one.certificate, "hello");
    chmodSync(one.key, 0o600);
    await refusal(one).toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("what a certificate names", () => {
  it("[A10] is what it listens on, loopback, the configured names without their port, and the external address", () => {
    const names = servedNames("192.0.2.1", ["GW.example.org:443", "[2001:db8::1]:443", "2001:db8::2"], ["203.0.113.5"]);
    expect(names).toEqual([
      "127.0.0.1",
      "192.0.2.1",
      "2001:db8::1",
      "2001:db8::2",
      "203.0.113.5",
      "::1",
      "gw.example.org",
      "localhost",
    ]);
    const all = servedNames("0.0.0.0", [], []);
    expect(all).toContain("127.0.0.1");
    expect(all).not.toContain("0.0.0.0");
    expect(servedNames("::", [], []).filter((name) => name.startsWith("fe80"))).toEqual([]);
  });
});
