import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { backup, restore } from "../../../src/daemon/backup.ts";
import { openLevelLog } from "../../../src/events/leveldb/level-log.ts";
import { loadMasterKey } from "../../../src/events/master-key.ts";
import { acceptLog, refuseIfCopied } from "../../../src/events/leveldb/restored.ts";
import { Secret } from "../../../src/events/secret.ts";
import { openSecrets } from "../../../src/events/secrets.ts";
import { verifyLog } from "../../../src/events/leveldb/verify.ts";
import { append, temporaryDirectory } from "./samples.ts";

const CANARY = "canary-7be21c";
const PASSPHRASE = "correct horse battery";

async function running() {
  const dataDir = join(temporaryDirectory(), "data");
  mkdirSync(dataDir);
  const masterKeyFile = join(temporaryDirectory(), "master.key");
  const passphraseFile = join(temporaryDirectory(), "passphrase");
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const log = await openLevelLog(dataDir);
  await append(log, 0, 20);
  const secrets = openSecrets(dataDir, await loadMasterKey(masterKeyFile, false));
  const [secretId] = (await secrets.putAll([
    { kind: "wireguard-key", material: new Secret(CANARY) },
    { kind: "psk", material: new Secret("another") },
  ])) as [string];
  const file = join(temporaryDirectory(), "gateway.backup");
  const target = join(temporaryDirectory(), "restored");
  return { dataDir, masterKeyFile, passphraseFile, log, secretId, file, target };
}

describe("a backup", () => {
  it("of a running log is restored whole, recognised as a copy, and goes on once accepted", async () => {
    const { log, file, target, secretId, ...paths } = await running();
    const report = await backup({ ...paths, file });
    expect(report).toEqual({ file, head: log.head.seq, secrets: 2 });
    await log.close();
    const otherKey = join(temporaryDirectory(), "master.key");
    const request = { file, dataDir: target, masterKeyFile: otherKey, passphraseFile: paths.passphraseFile };
    expect(await restore(request)).toEqual({ dataDir: target, head: report.head, secrets: 2, left: 0 });
    await expect(refuseIfCopied(target)).rejects.toMatchObject({ code: "LOG_RESTORED" });
    await acceptLog(target);
    await expect(refuseIfCopied(target)).resolves.toBeUndefined();
    expect((await verifyLog(target)).ok).toBe(true);
    const secret = await openSecrets(target, await loadMasterKey(otherKey, true)).open(secretId);
    expect(Buffer.from(secret.expose()).toString()).toBe(CANARY);
    await expect(restore(request)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(backup({ ...paths, file })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("is restored into a directory however it is written, and one that is there and empty", async () => {
    const { log, file, target, secretId: _secretId, ...paths } = await running();
    await backup({ ...paths, file });
    await log.close();
    for (const [written, there] of [
      [`${target}/`, false],
      [`${target}-2/`, true],
      [relative(process.cwd(), `${target}-4`), false],
    ] as const) {
      if (there) mkdirSync(written);
      expect(await restore({ ...paths, file, dataDir: written })).toMatchObject({ secrets: 2 });
      expect((await verifyLog(resolve(written))).ok, written).toBe(true);
      expect(readdirSync(dirname(target)).filter((name) => name.endsWith(".restoring"))).toEqual([]);
    }
  });

  it("that there is no place for is said in a line", async () => {
    const { log, file, target, secretId: _secretId, ...paths } = await running();
    const nowhere = backup({ ...paths, file: join(target, "gateway.backup") });
    await expect(nowhere).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining(target) });
    await backup({ ...paths, file });
    const under = backup({ ...paths, file: join(file, "x") });
    await expect(under).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("ENOTDIR") });
    await log.close();
  });

  it("is restored to where a link leads", async () => {
    const { log, file, target, secretId: _secretId, ...paths } = await running();
    await backup({ ...paths, file });
    await log.close();
    const disk = `${target}-disk`;
    mkdirSync(disk);
    symlinkSync(disk, target);
    expect(await restore({ ...paths, file, dataDir: target })).toMatchObject({ dataDir: disk, secrets: 2 });
    expect((await verifyLog(target)).ok).toBe(true);
  });

  it("has no secret in it without a passphrase, and with one only sealed", async () => {
    const { log, file, target, secretId, ...paths } = await running();
    expect((await backup({ ...paths, file, passphraseFile: null })).secrets).toBe(0);
    const sealed = `${file}.sealed`;
    await backup({ ...paths, file: sealed });
    await log.close();
    const master = readFileSync(paths.masterKeyFile, "utf8").trim();
    for (const [each, named] of [
      [file, false],
      [sealed, true],
    ] as const) {
      const text = gunzipSync(readFileSync(each)).toString();
      for (const secret of [
        CANARY,
        Buffer.from(CANARY).toString("base64"),
        Buffer.from(CANARY).toString("hex"),
        master,
        PASSPHRASE,
      ]) {
        expect(text).not.toContain(secret);
      }
      expect(text.includes(`"secret":"${secretId}"`)).toBe(named);
    }
    const request = { ...paths, file: sealed, dataDir: target };
    expect(await restore({ ...request, passphraseFile: null })).toMatchObject({ secrets: 0, left: 2 });
    const wrong = join(temporaryDirectory(), "wrong");
    writeFileSync(wrong, "another passphrase", { mode: 0o600 });
    const other = `${target}-2`;
    await expect(restore({ ...request, dataDir: other, passphraseFile: wrong })).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
    writeFileSync(wrong, "short\n");
    await expect(restore({ ...request, dataDir: other, passphraseFile: wrong })).rejects.toThrow("8 to 1024");
    const open = join(temporaryDirectory(), "open");
    writeFileSync(open, PASSPHRASE, { mode: 0o644 });
    await expect(restore({ ...request, dataDir: other, passphraseFile: open })).rejects.toMatchObject({
      code: "PERMISSION",
    });
    expect(readdirSync(join(target, ".."))).toEqual(["restored"]);
  });

  it("that is cut off, changed or something else is refused, and nothing is left of the try", async () => {
    const { log, file, target, secretId: _id, ...paths } = await running();
    await backup({ ...paths, file, passphraseFile: null });
    await log.close();
    const whole = readFileSync(file);
    const lines = gunzipSync(whole).toString().split("\n");
    const zipped = (...texts: string[]) => gzipSync(texts.join("\n"));
    const end = lines.at(-2) as string;
    const cases: [string, Buffer, string][] = [
      ["cut in the archive", whole.subarray(0, whole.length - 20), "LOG_CORRUPT"],
      ["no archive", Buffer.from("hello"), "LOG_CORRUPT"],
      ["without its end", zipped(...lines.slice(0, -2), ""), "LOG_CORRUPT"],
      ["a line left out", zipped(...lines.slice(0, 1), ...lines.slice(2)), "LOG_CORRUPT"],
      ["more after its end", zipped(...lines.slice(0, -1), end, ""), "LOG_CORRUPT"],
      ["newer", zipped('{"portreeveBackup":2}', ...lines.slice(1)), "LOG_NEWER_VERSION"],
      ["a path that leads out", zipped(lines[0] as string, '{"file":"log/../../x","data":""}', end, ""), "LOG_CORRUPT"],
      ["another file", zipped(lines[0] as string, '{"file":"log/LOCK","data":""}', end, ""), "LOG_CORRUPT"],
      ["empty", zipped(""), "LOG_CORRUPT"],
    ];
    for (const [what, bytes, code] of cases) {
      const broken = join(temporaryDirectory(), "broken");
      writeFileSync(broken, bytes);
      const tried = restore({ ...paths, file: broken, dataDir: target, passphraseFile: null });
      await expect(tried, what).rejects.toMatchObject({ code });
      expect(readdirSync(join(target, ".."))).toEqual([]);
    }
    const none = restore({ ...paths, file: `${file}.none`, dataDir: target, passphraseFile: null });
    await expect(none).rejects.toMatchObject({ code: "NOT_FOUND" });
    const unmade = join(temporaryDirectory(), "not", "there");
    const into = restore({ ...paths, file, dataDir: unmade, passphraseFile: null });
    await expect(into).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining(unmade) });
    const nowhere = backup({ ...paths, dataDir: target, file: `${file}.2`, passphraseFile: null });
    await expect(nowhere).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
