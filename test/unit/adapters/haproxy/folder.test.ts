import { spawn } from "node:child_process";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { asHaproxySees } from "../../../../src/adapters/haproxy/config.ts";
import { HaproxyFolder, removeFolder } from "../../../../src/adapters/haproxy/folder.ts";
import { configFile } from "../../../../src/adapters/haproxy/process.ts";
import { removeHaproxy } from "../../../../src/adapters/haproxy/target.ts";

const INSTANCE = "f01de40011223344";
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "portreeve-folder-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function make(name: string, config: string | null = configFile(INSTANCE)): string {
  const path = join(root, name);
  mkdirSync(path);
  writeFileSync(join(path, "kept"), "");
  if (config !== null) writeFileSync(join(path, config), "");
  return path;
}

it("removes a folder that is one of this instance's HAProxy, and no other", async () => {
  const ours = make(`haproxy-${INSTANCE}`);
  await removeFolder(ours, INSTANCE);
  expect(existsSync(ours)).toBe(false);
  const others = [
    make("haproxy-8899aabbccddeeff"),
    make("etc"),
    make(`haproxy-${INSTANCE}`, null),
    make(`haproxy-${INSTANCE} (deleted)`),
  ];
  for (const path of others) {
    await removeFolder(path, INSTANCE);
    expect(existsSync(join(path, "kept")), path).toBe(true);
  }
  await removeFolder(join(root, "gone", `haproxy-${INSTANCE}`), INSTANCE);
});

it("removes nothing through a link, and nothing of another user", async () => {
  const target = make("target");
  const link = join(root, `haproxy-${INSTANCE}`);
  symlinkSync(target, link);
  await removeFolder(link, INSTANCE);
  await new HaproxyFolder(root, INSTANCE).remove();
  expect(existsSync(join(target, "kept"))).toBe(true);
  rmSync(link);
  if (process.geteuid?.() !== 0) return;
  const foreign = make(`haproxy-${INSTANCE}`);
  chownSync(foreign, 65534, 65534);
  await removeFolder(foreign, INSTANCE);
  expect(existsSync(join(foreign, "kept"))).toBe(true);
});

it("removes nothing that a program has open which only calls itself HAProxy", async () => {
  const precious = make("precious");
  const open = openSync(precious, "r");
  const args = ["-e", "setInterval(() => {}, 1000)", asHaproxySees(configFile(INSTANCE))];
  // The folder of a HAProxy is the first descriptor behind the standard ones.
  const program = spawn(process.execPath, args, { argv0: "haproxy", stdio: ["ignore", "ignore", "ignore", open] });
  await new Promise((resolve) => program.once("spawn", resolve));
  closeSync(open);
  const ended = new Promise((resolve) => program.once("exit", resolve));
  await removeHaproxy(INSTANCE);
  await ended;
  expect(existsSync(join(precious, "kept"))).toBe(true);
});
