import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { haproxiesOf } from "./haproxy-driver.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { hostnameOption } from "./programs/pcp-wire.mjs";
import { makeCertificate, SniBackend } from "./sni-lab.ts";
import { findProgram, WAN_GATEWAY } from "./topology.mjs";

const LOOKED_AGAIN_MS = 20_000;

async function ask(lab: Lab, name: string): Promise<string> {
  const resolve = `${name}:443:${WAN_GATEWAY}`;
  const curl = ["-sk", "--max-time", "5", "--resolve", resolve, `https://${name}/`] as const;
  const said = await lab.topology.internet.exec("curl", ...curl).catch(() => "");
  return said === "" ? "nobody" : (JSON.parse(said) as { name: string }).name;
}

/** A folder for PATH that has all programs of this machine but HAProxy, which comes and goes. */
class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), "portreeve-programs-"));

  constructor() {
    const seen = new Set(["haproxy"]);
    for (const from of (process.env["PATH"] ?? "").split(":")) {
      for (const name of list(from)) {
        if (seen.has(name)) continue;
        seen.add(name);
        symlinkSync(join(from, name), join(this.folder, name));
      }
    }
    this.install();
  }

  install(): void {
    symlinkSync(findProgram("haproxy") ?? "", join(this.folder, "haproxy"));
  }

  remove(): void {
    rmSync(join(this.folder, "haproxy"));
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

interface Said {
  readonly findings: readonly { readonly check: string; readonly level: string; readonly message: string }[];
}

async function doctorOf(lab: Lab): Promise<string[]> {
  const { stdout } = await lab.gateway.cli("doctor", "--json");
  const { findings } = JSON.parse(stdout) as Said;
  return findings.filter(({ check }) => check === "haproxy").map(({ level, message }) => `${level}: ${message}`);
}

scenario(
  "[P6] without the program HAProxy what runs goes on; once it ended, names are refused, an undo says what is missing, and all is back with the program",
  { clients: 1, needs: ["haproxy", "curl", "openssl"], timeoutMs: 180_000 },
  async (lab) => {
    const programs = new Programs();
    const [host] = lab.topology.clients;
    if (host === undefined) throw new Error("no client");
    makeCertificate(programs.folder, "host0");
    const backend = new SniBackend(host, "host0", programs.folder);
    const { gateway } = lab;
    const route = (verb: string, name: string, ...more: string[]) => gateway.cli("route", verb, name, ...more);
    try {
      await gateway.stop();
      await gateway.start({ PATH: programs.folder });
      for (const name of ["a.example.org", "b.example.org", "off.example.org"])
        expect(await route("add", name, host.address), name).toMatchObject({ code: 0 });
      expect(await route("disable", "off.example.org")).toMatchObject({ code: 0 });
      await eventually(async () => expect(await ask(lab, "a.example.org")).toBe("host0"));
      expect(await doctorOf(lab)).toEqual([]);
      const { id: off } = await gateway.json<{ id: string }>("route", "show", "off.example.org");

      programs.remove();
      await eventually(async () => {
        expect(await doctorOf(lab)).toEqual([expect.stringMatching(/^warning: HAProxy goes on as it runs/)]);
      }, LOOKED_AGAIN_MS);
      expect(await route("add", "c.example.org", host.address), "what runs takes changes").toMatchObject({ code: 0 });
      expect(await ask(lab, "c.example.org")).toBe("host0");
      expect(await route("remove", "b.example.org", "--yes")).toMatchObject({ code: 0 });

      for (const pid of haproxiesOf(lab.topology.gateway)) process.kill(pid, "SIGKILL");
      await eventually(async () => {
        expect(await doctorOf(lab)).toEqual([expect.stringMatching(/^problem: .*reach nobody: HAProxy is not/)]);
      }, LOOKED_AGAIN_MS);
      for (const said of [
        await route("add", "d.example.org", host.address),
        await route("enable", "off.example.org"),
        await gateway.cli("port", "enable", off),
      ]) {
        expect(said.code).not.toBe(0);
        expect(said.stderr).toMatch(/HAProxy.*missing/);
      }
      const options = hostnameOption("e.example.org");
      const asked = { protocol: "tcp", internalPort: 443, suggestedPort: 443, lifetime: 600, options } as const;
      expect(await lab.map(lab.client(), asked)).toMatchObject({ result: 193 });
      const undone = await gateway.cli("undo");
      expect(undone).toMatchObject({ code: 0 });
      expect(undone.stderr).toMatch(/b\.example\.org leads nowhere yet: HAProxy.*install/);
      expect(await ask(lab, "a.example.org")).toBe("nobody");

      programs.install();
      for (const name of ["a.example.org", "b.example.org", "c.example.org"])
        await eventually(async () => expect(await ask(lab, name), name).toBe("host0"), 60_000);
      await eventually(async () => expect(await doctorOf(lab)).toEqual([]), LOOKED_AGAIN_MS);
      expect(await route("enable", "off.example.org")).toMatchObject({ code: 0 });
      expect(await ask(lab, "off.example.org")).toBe("host0");
      for (const name of ["a", "b", "c", "off"])
        expect(await route("remove", `${name}.example.org`, "--yes")).toMatchObject({ code: 0 });
    } finally {
      await backend.close();
      rmSync(programs.folder, { recursive: true, force: true });
    }
  },
);
