import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Programs } from "../../../src/cli/programs.ts";
import { run } from "./shell.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "portreeve-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const config = (text: string): string => {
  const file = join(folder, "portreeve.yaml");
  writeFileSync(file, text);
  return file;
};

describe("without a daemon", () => {
  it("[A4] exits 6 and says how to start one or name its socket", async () => {
    const ran = await run(["--socket", join(folder, "none.sock"), "status"]);
    expect(ran).toMatchObject({ code: 6, out: "" });
    expect(ran.err).toContain("there is no such socket");
    expect(ran.err).toContain("portreeve run --config FILE");
    expect((await run([], { env: { PORTREEVE_SOCKET: join(folder, "none.sock") } })).code).toBe(6);
  });

  it("takes --socket before or after the verb, and it wins over PORTREEVE_SOCKET", async () => {
    const wrong = join(folder, "wrong.sock");
    for (const args of [
      ["port", "list", "--socket", wrong],
      ["--socket", wrong, "port", "list"],
    ]) {
      expect((await run(args, { env: { PORTREEVE_SOCKET: "/else" } })).err).toContain(wrong);
    }
  });

  it("exits 1 when something else answers", async () => {
    const path = join(folder, "other.sock");
    const other = createServer((socket) => socket.resume().end("HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\nwhat"));
    await new Promise<void>((resolve) => other.listen(path, resolve));
    expect(await run(["--socket", path, "status"])).toMatchObject({ code: 1 });
    await new Promise((resolve) => other.close(resolve));
  });
});

describe("usage", () => {
  it.each([
    [["prot", "list"], "did you mean `portreeve port`?"],
    [["port", "lst"], "Did you mean list?"],
    [["port", "frobnicate"], "unknown command"],
    [["port", "list", "--jsno"], "Did you mean --json?"],
    [["port", "add", "80/tcp"], "missing required argument"],
    [["port", "list", "extra"], "too many arguments"],
    [["state", "diff"], "--from"],
    [["port"], "Usage: portreeve port"],
    [["completion", "tcsh"], "Allowed choices are bash, zsh, fish"],
  ])("%j exits 2 and helps", async (args, help) => {
    const ran = await run(args);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain(help);
  });

  it("help comes on stdout, exits 0 and begins with examples", async () => {
    const ran = await run(["port", "add", "--help"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toContain("--socket");
    expect((await run(["--help"])).out).toMatch(/^Examples:\n {2}portreeve status\n/);
    expect((await run(["port", "--help"])).out).toMatch(/^Examples:\n {2}portreeve port add/);
  });

  it("version is told in both ways", async () => {
    expect(await run(["--version"])).toMatchObject({ code: 0, out: "1.2.3\n" });
    expect((await run(["version"])).out).toMatch(/^portreeve 1\.2\.3 on Node v/);
    expect(JSON.parse((await run(["version", "--json"])).out)).toMatchObject({ version: "1.2.3" });
  });
});

describe("portreeve config", () => {
  it("check exits 2 with line and suggestion, and 0 with nothing more to say when it is fine", async () => {
    const bad = await run(["config", "check", "--config", config("lan:\n  - interfase: lan0\n")]);
    expect(bad).toMatchObject({ code: 2, out: "" });
    expect(bad.err).toContain("portreeve.yaml:2: `lan[0].interfase` is not a known key. Did you mean `interface`?");
    const good = await run(["config", "check", "--config", config("dns: {}\n")]);
    expect(good).toMatchObject({ code: 0, out: expect.stringContaining("is fine") as string });
    expect(good.err).toBe("");
    expect((await run(["config", "check", "--config", join(folder, "none.yaml")])).code).toBe(2);
  });

  it("show prints what is in effect and who set it; schema prints JSON Schema", async () => {
    const env = { PORTREEVE_PORT_CONTROL__QUARANTINE: "7" };
    const shown = await run(["config", "show", "--config", config("dataDir: /d\n")], { env });
    expect(shown.out).toContain("dataDir: /d\n");
    expect(shown.out).toContain("quarantine: 7\n");
    expect(shown.err).toContain("PORTREEVE_PORT_CONTROL__QUARANTINE");
    expect(
      JSON.parse((await run(["config", "show", "--json"], { env: { PORTREEVE_CONFIG: config("dataDir: /d\n") } })).out),
    ).toMatchObject({ dataDir: "/d" });
    expect(JSON.parse((await run(["config", "schema"])).out)).toMatchObject({ title: "Portreeve configuration" });
  });
});

describe("what is started instead of asked", () => {
  it("run gives the daemon its configuration and exits as it does", async () => {
    const started: Parameters<Programs["run"]>[0][] = [];
    const programs = {
      run: (options: Parameters<Programs["run"]>[0]) => {
        started.push(options);
        return Promise.resolve(5);
      },
    };
    expect((await run(["run", "--config", config("dataDir: /d"), "--take-over"], { programs })).code).toBe(5);
    expect(started).toMatchObject([{ takeOver: true, loaded: { config: { dataDir: "/d" } } }]);
    expect((await run(["run", "--config", config("dataDir: d")], { programs })).code).toBe(2);
    expect(started).toHaveLength(1);
  });

  it("[E7] replay prints the hash; --verify exits 8 if an invariant does not hold", async () => {
    const report = {
      seq: 7,
      at: 0,
      hash: "ab",
      contentHash: "cd",
      state: { seq: 7 },
      faults: [] as string[],
      witnessAhead: null,
    };
    const asked: unknown[] = [];
    const programs = {
      replay: (...args: unknown[]) => {
        asked.push(args);
        return Promise.resolve(report);
      },
    };
    const line = ["replay", "--data-dir", "/d", "--to", "7", "--verify", "--json"];
    const sound = await run(line, { programs });
    expect(sound.code).toBe(0);
    expect(JSON.parse(sound.out)).toEqual({
      seq: 7,
      at: new Date(0).toISOString(),
      hash: "ab",
      contentHash: "cd",
      faults: [],
      witnessAhead: null,
    });
    expect(asked).toEqual([["/d", 7]]);
    report.faults = ["a port has two holders"];
    expect((await run(line, { programs })).code).toBe(8);
    expect((await run(["replay", "--data-dir", "/d"], { programs })).code, "not asked to verify").toBe(0);
    expect((await run(["replay"], { programs })).code).toBe(2);
  });

  it("[E1] events verify --data-dir exits 8 and names the record where the log breaks", async () => {
    const fault = { code: "LOG_CORRUPT", seq: 8, message: "record 8 is missing", remedy: "salvage" as const };
    const programs = {
      verifyLog: () => Promise.resolve({ ok: false, head: null, after: 0, records: 7, witnessAhead: 9, fault }),
    };
    const ran = await run(["events", "verify", "--data-dir", "/d"], { programs });
    expect(ran.code).toBe(8);
    expect(ran.out).toContain("7 records are good, then:\nLOG_CORRUPT at record 8: record 8 is missing\n");
    expect(ran.out).toContain("record 9");
    expect(ran.out, "what mends it").toContain("portreeve events salvage --data-dir /d");
  });

  it("[F4] teardown asks first, and takes the directory from the configuration", async () => {
    const torn: string[] = [];
    const programs = {
      teardown: (dataDir: string) => {
        torn.push(dataDir);
        return Promise.resolve();
      },
    };
    const args = ["teardown", "--config", config("dataDir: /d")];
    expect((await run(args, { programs })).code).toBe(2);
    expect((await run(args, { programs, answer: "no" })).code).toBe(1);
    expect(torn).toEqual([]);
    expect((await run([...args, "--yes"], { programs })).code).toBe(0);
    expect((await run(["teardown", "--data-dir", "/e"], { programs, answer: "yes" })).code).toBe(0);
    expect(torn).toEqual(["/d", "/e"]);
  });
});

describe("colours", () => {
  it("mark errors for a person and never reach a file", async () => {
    const args = ["--socket", join(folder, "none.sock"), "status"];
    expect((await run(args, { answer: "" })).err).toContain("\u001b[31merror:");
    expect((await run(args, { answer: "", env: { NO_COLOR: "1" } })).err).not.toContain("\u001b");
    expect((await run(args)).err).not.toContain("\u001b");
  });
});
