import { spawn } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { missingForLab } from "./topology.mjs";

const SERVER = fileURLToPath(new URL("../../bench/dns-server.mjs", import.meta.url));
const PORT = 15_321;

it("the benchmark's DNS server speaks to the thread as the product does, and serves what it is told", async (context) => {
  const missing = missingForLab();
  if (missing !== null) context.skip(missing);
  const child = spawn(process.execPath, [SERVER, "127.0.0.1", String(PORT), "3"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    const said = await Promise.race([once(child.stdout, "data"), ended]);
    expect(String(said[0])).toBe("ready\n");
    const resolver = new Resolver({ timeout: 2000, tries: 2 });
    resolver.setServers([`127.0.0.1:${PORT}`]);
    expect(await resolver.resolve4("n2.bench.example")).toEqual(["10.59.0.2"]);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}, 20_000);
