import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CLIENT_HELLO_LUA } from "../../../../src/adapters/haproxy/client-hello-lua.ts";
import { asHaproxySees, FILES, haproxyConfig, LIMITS, limitsWithin } from "../../../../src/adapters/haproxy/config.ts";
import { judge } from "../../../../src/adapters/haproxy/installed.ts";
import { MAP_FILES } from "../../../../src/adapters/haproxy/maps.ts";
import { openFilesMax } from "../../../../src/adapters/haproxy/open-files.ts";

const INSTANCE = "0011223344556677";
const installed = existsSync("/usr/sbin/haproxy");

describe("the configuration of HAProxy", () => {
  it.skipIf(!installed)("is one that HAProxy takes", () => {
    const folder = mkdtempSync(join(tmpdir(), "portreeve-haproxy-"));
    try {
      const { text } = haproxyConfig(INSTANCE, limitsWithin(LIMITS, openFilesMax()));
      // HAProxy is given no descriptor here.
      writeFileSync(join(folder, "cfg"), text.replaceAll(asHaproxySees(""), `${folder}/`));
      writeFileSync(join(folder, FILES.lua), CLIENT_HELLO_LUA);
      for (const map of MAP_FILES) writeFileSync(join(folder, map), "");
      const said = execFileSync("haproxy", ["-c", "-f", join(folder, "cfg")], { encoding: "utf8", stdio: "pipe" });
      expect(said).toContain("Configuration file is valid");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("says whose it is, and is another one as soon as anything in it is", () => {
    const { text, description } = haproxyConfig(INSTANCE, LIMITS);
    expect(description).toMatch(/^portreeve 0011223344556677 [0-9a-f]{16}$/);
    expect(text).toContain(`description "${description}"`);
    expect(haproxyConfig(INSTANCE, LIMITS).description).toBe(description);
    expect(haproxyConfig(INSTANCE, { ...LIMITS, ratePerSource: 1 }).description).not.toBe(description);
  });

  it("asks for no more files than it may have", () => {
    expect(limitsWithin(LIMITS, Number.MAX_SAFE_INTEGER)).toEqual(LIMITS);
    expect(limitsWithin(LIMITS, 4096).connections).toBe(1598);
    expect(limitsWithin(LIMITS, 10).connections).toBe(100);
    expect(openFilesMax("Max open files            1024                 524288               files     \n")).toBe(
      524_288,
    );
    expect(openFilesMax("Max open files            1024                 unlimited            files     \n")).toBe(
      Number.MAX_SAFE_INTEGER,
    );
  });
});

describe("what a HAProxy says of itself", () => {
  const said = (version: string, features = "+LUA +TPROXY") =>
    `HAProxy version ${version} 2026/10/17\nFeature list : ${features}\n`;

  it("tells whether it can route by names", () => {
    expect(judge(said("2.6.12-1+deb12u4"))).toEqual({ able: true });
    expect(judge(said("3.0.1"))).toEqual({ able: true });
    for (const able of [
      null,
      "",
      said("2.4.22"),
      said("1.9.0"),
      said("2.6.12", "-LUA +TPROXY"),
      said("2.6.12", "+LUA -TPROXY"),
    ]) {
      expect(judge(able)).toMatchObject({ able: false });
    }
  });
});
