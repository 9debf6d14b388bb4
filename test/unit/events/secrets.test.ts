import { chmodSync, existsSync, linkSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { loadMasterKey } from "../../../src/events/master-key.ts";
import { Secret } from "../../../src/events/secret.ts";
import { hasSecrets, openSecrets } from "../../../src/events/secrets.ts";
import { temporaryDirectory } from "./samples.ts";

const CANARY = "canary-4f1c9a";
const textOf = (secret: Secret): string => Buffer.from(secret.expose()).toString();

/** Whether any file below a directory holds the text, in clear or in hex. */
function findsIn(directory: string, text: string): boolean {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).some((name) => {
    const path = join(directory, name);
    const content = statSync(path).isFile() ? readFileSync(path, "latin1") : "";
    return content.includes(text) || content.includes(Buffer.from(text).toString("hex"));
  });
}

async function newStore() {
  const dataDir = temporaryDirectory();
  const keyFile = join(temporaryDirectory(), "master.key");
  return { dataDir, keyFile, store: openSecrets(dataDir, await loadMasterKey(keyFile, false)) };
}

describe("Secret", () => {
  it("shows itself to nobody who prints it", () => {
    const secret = new Secret(CANARY);
    const around = { deep: [secret] };
    for (const text of [
      String(secret),
      "".concat(secret as unknown as string),
      JSON.stringify(around),
      inspect(around, { depth: 9, showHidden: true }),
    ]) {
      expect(text).toContain("[redacted]");
      expect(text).not.toContain(CANARY);
      expect(text).not.toContain("99, 97, 110");
    }
    expect(Object.keys(secret)).toEqual([]);
    expect(textOf(secret)).toBe(CANARY);
  });

  it("cannot be changed through what went in or came out", () => {
    const material = Buffer.from(CANARY);
    const secret = new Secret(material);
    material.fill(0);
    secret.expose().fill(0);
    expect(textOf(secret)).toBe(CANARY);
  });
});

describe("openSecrets", () => {
  it("opens what was put, after a restart too", async () => {
    const { dataDir, keyFile, store } = await newStore();
    const secretId = await store.put("wireguard-key", new Secret(CANARY));
    expect(secretId).toMatch(/^s[0-9a-f]{32}$/);
    expect(textOf(await store.open(secretId))).toBe(CANARY);
    expect(textOf(await openSecrets(dataDir, await loadMasterKey(keyFile, true)).open(secretId))).toBe(CANARY);
    expect(await store.put("wireguard-key", new Secret(CANARY))).not.toBe(secretId);
    const empty = await store.put("psk", new Secret(new Uint8Array()));
    expect((await store.open(empty)).expose()).toEqual(new Uint8Array());
  });

  it("keeps nothing in clear", async () => {
    const { dataDir, store } = await newStore();
    await store.put("tsig-key", new Secret(CANARY));
    expect(findsIn(dataDir, CANARY)).toBe(false);
    writeFileSync(join(dataDir, "planted"), `x${Buffer.from(CANARY).toString("hex")}x`);
    expect(findsIn(dataDir, CANARY)).toBe(true);
  });

  it("opens nothing with another master key, from another secret's file, or from a changed one", async () => {
    const { dataDir, store } = await newStore();
    const one = await store.put("psk", new Secret("one"));
    const two = await store.put("psk", new Secret("two"));
    const file = (id: string) => join(dataDir, "secrets", `${id}.json`);
    const stranger = openSecrets(dataDir, await loadMasterKey(join(temporaryDirectory(), "other.key"), false));
    await expect(stranger.open(one)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const whole = readFileSync(file(one), "utf8");
    writeFileSync(file(one), readFileSync(file(two)));
    await expect(store.open(one)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    for (const [from, to] of [
      ['"psk"', '"pskx"'],
      [/"material":"(.)/, '"material":"g'],
      [/.("}\n)$/, "$1"],
      ["}", ""],
    ] as const) {
      writeFileSync(file(one), whole.replace(from, to));
      await expect(store.open(one)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
    writeFileSync(file(one), whole);
    expect(textOf(await store.open(one))).toBe("one");
  });

  it("erases for good: the very blocks are overwritten, and no other secret is touched", async () => {
    const { dataDir, store } = await newStore();
    const erased = await store.put("psk", new Secret(CANARY));
    const kept = await store.put("psk", new Secret("kept"));
    const path = join(dataDir, "secrets", `${erased}.json`);
    // A second name for the same blocks shows what becomes of them once the first name is gone.
    linkSync(path, join(dataDir, "blocks"));
    const { size } = statSync(path);
    await store.erase(erased);
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(join(dataDir, "blocks"))).toEqual(Buffer.alloc(size));
    await expect(store.open(erased)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await store.erase(erased);
    expect(textOf(await store.open(kept))).toBe("kept");
  });

  it("keeps many at once, each of which is opened and erased alone, and none that could not all be kept", async () => {
    const { dataDir, store } = await newStore();
    const materials = Array.from({ length: 150 }, (_, index) => `material ${index}`);
    const ids = await store.putAll(materials.map((text) => ({ kind: "psk", material: new Secret(text) })));
    expect(new Set(ids).size).toBe(150);
    for (const [index, id] of ids.entries()) expect(textOf(await store.open(id))).toBe(materials[index]);
    expect(await store.list(() => false)).toEqual([]);
    expect((await store.list(() => true)).length).toBe(150);
    expect(readdirSync(join(dataDir, "secrets"))).toHaveLength(1);
    const [file = ""] = readdirSync(join(dataDir, "secrets"));
    await store.erase(ids[7] as string);
    const place = readFileSync(join(dataDir, "secrets", file)).subarray(7 * 1024, 8 * 1024);
    expect(place).toEqual(Buffer.alloc(1024));
    await store.erase(ids[7] as string);
    await expect(store.open(ids[7] as string)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(textOf(await store.open(ids[8] as string))).toBe("material 8");
    const kinds = ["psk", "no kind", "psk"];
    await expect(store.putAll(kinds.map((kind) => ({ kind, material: new Secret("x") })))).rejects.toThrow();
    expect(readdirSync(join(dataDir, "secrets"))).toEqual([file]);
    expect(await store.putAll([])).toEqual([]);
    expect(await hasSecrets(dataDir)).toBe(true);
    for (const id of ids) await store.erase(id);
    expect(await hasSecrets(dataDir)).toBe(false);
    expect(await store.list(() => true)).toEqual([]);
    expect(readdirSync(join(dataDir, "secrets"))).toEqual([]);
    const large = await store.putAll(
      [1, 2].map((size) => ({ kind: "psk", material: new Secret("x".repeat(size * 1000)) })),
    );
    expect((await store.list(() => true)).sort()).toEqual(large.toSorted());
    expect((await store.open(large[1] as string)).expose()).toHaveLength(2000);
  });

  it("does not take a path for an id", async () => {
    const { store } = await newStore();
    for (const id of ["../../etc/passwd", "", "s", `s${"0".repeat(31)}/`]) {
      await expect(store.open(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(store.erase(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  it("says whether there is anything that a master key is needed for", async () => {
    const { dataDir, store } = await newStore();
    expect(await hasSecrets(dataDir)).toBe(false);
    const secretId = await store.put("psk", new Secret("x"));
    expect(await hasSecrets(dataDir)).toBe(true);
    await store.erase(secretId);
    expect(await hasSecrets(dataDir)).toBe(false);
  });
});

describe("loadMasterKey", () => {
  it("makes a key at the first start, for its owner only, and loads the same one ever after", async () => {
    const path = join(temporaryDirectory(), "etc/portreeve/master.key");
    const made = await loadMasterKey(path, false);
    expect(made.expose()).toHaveLength(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await loadMasterKey(path, true)).expose()).toEqual(made.expose());
  });

  it("makes no second key while there are secrets sealed with a lost one", async () => {
    const path = join(temporaryDirectory(), "master.key");
    await expect(loadMasterKey(path, true)).rejects.toMatchObject({ code: "NOT_FOUND", disposition: "fatal" });
    expect(existsSync(path)).toBe(false);
  });

  it.each([0o640, 0o604, 0o620, 0o602])("refuses a key file that others may touch (mode %o)", async (mode) => {
    const path = join(temporaryDirectory(), "master.key");
    await loadMasterKey(path, false);
    chmodSync(path, mode);
    await expect(loadMasterKey(path, false)).rejects.toMatchObject({ code: "PERMISSION", disposition: "fatal" });
  });

  it("refuses what is no key", async () => {
    const path = join(temporaryDirectory(), "master.key");
    for (const text of ["", "secret\n", `${"0".repeat(63)}\n`, `${"g".repeat(64)}\n`]) {
      writeFileSync(path, text, { mode: 0o600 });
      await expect(loadMasterKey(path, false)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    }
  });
});
