import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { Gateway, PROGRAM, runCli } from "./gateway.mjs";
import { scenario } from "./lab.ts";

describe("the daemon", () => {
  scenario("[A4] [A7] says ready, is healthy, counts, and its commands exit as promised", {}, async (lab) => {
    const client = lab.client();
    await lab.map(client, { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    expect(await lab.gateway.get("/healthz")).toMatchObject({ status: 200 });
    expect(await lab.gateway.get("/readyz")).toMatchObject({ status: 200 });
    const { body } = await lab.gateway.get("/metrics");
    expect(body).toMatch(/^portreeve_reconcile_total\{[^}]*target="[^"]+"/m);
    expect(body).toMatch(/^portreeve_leases\S* 1$/m);
    expect(body).toMatch(/^portreeve_log_head_seq\S* \d+$/m);

    const cli = (...args: string[]) => lab.gateway.cli(...args);
    expect(await cli("status"), "ok").toMatchObject({ code: 0 });
    expect((await cli("port", "remove", "1/tcp", "--yes")).code, "not found").toBe(3);
    expect((await cli("port", "frobnicate")).code, "usage").toBe(2);
    expect((await cli("port", "add", "8080/tcp", client.address)).code, "conflict or taken over").toBeLessThanOrEqual(
      4,
    );
    expect((await runCli(["--socket", join(lab.gateway.folder, "none.sock"), "status"])).code, "unreachable").toBe(6);
    const why = await lab.gateway.json<unknown>("why", "port", "8080/tcp");
    expect(JSON.stringify(why)).toContain("mapping.granted");
    expect(await lab.gateway.json<unknown[]>("device", "list")).toHaveLength(1);
  });

  scenario("[E8] [A4] keeps its files to itself and its secrets out of its log", {}, async (lab) => {
    const { dataDir, folder } = lab.gateway;
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "master.key")).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, "api-token")).mode & 0o777).toBe(0o600);
    expect(statSync(lab.gateway.socket).mode & 0o007).toBe(0);
    const token = readFileSync(join(dataDir, "api-token"), "utf8").trim();
    expect(token.length).toBeGreaterThanOrEqual(32);
    expect(lab.gateway.log.join("\n")).not.toContain(token);
    const key = readFileSync(join(folder, "master.key"));
    expect(lab.gateway.log.join("\n")).not.toContain(key.toString("hex"));
    expect(existsSync(join(dataDir, "log"))).toBe(true);
  });

  scenario(
    "[E1] refuses a second instance, with the same or another data directory, and touches nothing",
    {},
    async (lab) => {
      const before = await lab.topology.gateway.exec("nft", "-s", "list", "ruleset");
      const twin = new Gateway(lab.topology.gateway, { lan: [{ interface: "lan0" }], api: { listen: null } });
      try {
        await expect(twin.start()).rejects.toThrow(/FOREIGN_INSTANCE/);
        twin.configure({ dataDir: lab.gateway.dataDir, lan: [{ interface: "lan0" }], api: { listen: null } });
        await expect(twin.start()).rejects.toThrow(/LOG_LOCKED/);
      } finally {
        await twin.close();
      }
      expect(await lab.topology.gateway.exec("nft", "-s", "list", "ruleset")).toBe(before);
      expect(await lab.gateway.get("/readyz")).toMatchObject({ status: 200 });
    },
  );

  scenario("[F4] removes all that is its own at teardown, and nothing else", {}, async (lab) => {
    await lab.map(lab.client(), { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    await lab.gateway.stop();
    expect(await lab.topology.gateway.exec("nft", "list", "tables")).toContain("portreeve");
    const removed = await lab.topology.gateway.exec(
      process.execPath,
      PROGRAM,
      "teardown",
      "--config",
      lab.gateway.configFile,
      "--yes",
    );
    expect(removed).toBeDefined();
    const left = await lab.topology.gateway.exec("nft", "list", "tables");
    expect(left).not.toContain("portreeve");
    expect(left).toContain("table inet admin");
  });

  scenario("[E8] with nothing to serve changes no sysctl and no table of the kernel", {}, async (lab) => {
    const { gateway } = lab.topology;
    await lab.gateway.stop();
    await gateway.exec(process.execPath, PROGRAM, "teardown", "--config", lab.gateway.configFile, "--yes");
    const idle = new Gateway(gateway, { lan: [], api: { listen: null } });
    try {
      await gateway.exec("sysctl", "-qw", "net.ipv4.ip_forward=0");
      const before = await kernelOf(gateway);
      await idle.start();
      expect(await kernelOf(gateway)).toEqual(before);
      expect((await idle.cli("status")).code).toBe(0);
    } finally {
      await idle.stop();
      await idle.close();
    }
  });
});

async function kernelOf(gateway: { exec(program: string, ...args: string[]): Promise<string> }): Promise<string[]> {
  const sysctls = await gateway.exec("sysctl", "-ar", "^net.ipv[46].(ip_forward|conf)");
  const tables = await gateway.exec("nft", "-s", "list", "ruleset");
  return [sysctls, tables];
}
