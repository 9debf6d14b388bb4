import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const run = promisify(execFile);
const held = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, nonce: "ab".repeat(12) };
const wanted = { protocol: "tcp" as const, internalPort: 9090, suggestedPort: 9090, nonce: "cd".repeat(12) };
/** Longer than any timeout of ours. */
const HANG_MICROSECONDS = 600_000_000;
/** From SIGTERM to the end, with room for a busy machine. */
const STOP_MAX_MS = 15_000;
/** RFC 6887 §7.4: what a request ends with that could not be made effective in time. */
const NO_RESOURCES = 8;

/**
 * libnftables hangs in the kernel: it asks for the ruleset's generation by sendto() before each command, and nothing
 * else in the daemon calls that. So do the threads that take the place of the one that hangs.
 */
class Hang {
  readonly #strace: ChildProcess;
  calls = 0;

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
  }

  static async of(pid: number): Promise<Hang> {
    const inject = ["-e", "trace=sendto", "-e", `inject=sendto:delay_enter=${HANG_MICROSECONDS}`];
    const strace = spawn("strace", ["-f", "-p", `${pid}`, ...inject], { stdio: ["ignore", "ignore", "pipe"] });
    const hang = new Hang(strace);
    const lines = createInterface({ input: strace.stderr as NodeJS.ReadableStream });
    await new Promise<void>((resolve, reject) => {
      strace.once("exit", (code) => reject(new Error(`strace ended with ${code}`)));
      lines.on("line", (line) => {
        if (line.includes("attached")) resolve();
        if (line.includes("sendto(")) hang.calls += 1;
      });
    });
    return hang;
  }

  /** The calls that hung go on, also those of threads that were given up. */
  async end(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return;
    const ended = once(this.#strace, "exit");
    this.#strace.kill("SIGKILL");
    await ended;
  }
}

describe("libnftables", () => {
  scenario(
    "[F20] hangs: silence, then a transient error; what existed stays and is confirmed; status says it; all mends itself after",
    { needs: ["strace"], timeoutMs: 120_000 },
    async (lab) => {
      const client = lab.client();
      await client.listen({ tcp: [8080, 9090] });
      expect(await lab.map(client, { ...held, lifetime: 3600 })).toMatchObject({ result: 0, externalPort: 8080 });
      await lab.internet.openStream("through", { host: WAN_GATEWAY, port: 8080 });

      const hang = await Hang.of(lab.gateway.pid);
      try {
        const reply = await lab.map(client, { ...wanted, lifetime: 3600 }, 20_000);
        expect(hang.calls, "it hung").toBeGreaterThan(0);
        expect(reply).toMatchObject({ result: NO_RESOURCES });
        expect(reply?.lifetime, "ask again soon").toBeLessThanOrEqual(60);

        expect(await lab.map(client, { ...held, lifetime: 3600 })).toMatchObject({ result: 0, externalPort: 8080 });
        expect(await lab.internet.say("through", "still")).toMatchObject({ payload: "still" });
        expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
        expect((await lab.gateway.ports()).map(({ external }) => external.port)).toEqual([8080]);
        await eventually(async () =>
          expect((await ready(lab)).reasons.join()).toMatch(/nftables-forwards: .*no answer/),
        );
        expect((await lab.gateway.cli("status")).stdout).toMatch(/nftables-forwards.*no answer/s);
        expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 9090 })).not.toBeNull();
      } finally {
        await hang.end();
      }
      await eventually(async () => expect(await ready(lab)).toEqual({ ready: true, reasons: [] }), 45_000);
      expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 9090 })).not.toBeNull();
      expect(await lab.map(client, { ...wanted, lifetime: 3600 })).toMatchObject({ result: 0, externalPort: 9090 });
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 9090 })).toMatchObject({ by: "c0" });
      expect(await lab.internet.say("through", "to the end")).toMatchObject({ payload: "to the end" });
    },
  );

  scenario(
    "[F20] hangs for good: a stop ends all the same, and the next start finds a clean end",
    { timeoutMs: 120_000 },
    async (lab) => {
      const client = lab.client();
      await lab.map(client, { ...held, lifetime: 3600 });
      await stallNewContexts(lab);
      // What others write is looked at, and each look makes a context of its own.
      await lab.topology.gateway.exec("nft", "add", "chain", "inet", "portreeve", "theirs");
      expect(await lab.map(client, { ...wanted, lifetime: 3600 }, 20_000)).toMatchObject({ result: NO_RESOURCES });
      expect(await Promise.race([lab.gateway.stop(), passed(STOP_MAX_MS)])).toMatchObject({ code: 0 });
      await lab.gateway.start();
      const records = await lab.gateway.json<{ type: string }[]>("events", "list", "--type", "controller");
      expect(records.map(({ type }) => type).slice(-2)).toEqual(["controller.stopped", "controller.started"]);
      expect((await lab.gateway.ports()).map(({ external }) => external.port)).toEqual([8080]);
    },
  );
});

async function ready(lab: Lab): Promise<{ ready: boolean; reasons: string[] }> {
  return JSON.parse((await lab.gateway.get("/readyz")).body) as { ready: boolean; reasons: string[] };
}

/**
 * A context of libnftables begins by reading the names of routing realms: here from a pipe that nobody writes to, in the
 * mount namespace of the daemon, which ends with it.
 */
async function stallNewContexts(lab: Lab): Promise<void> {
  const [names, pipe] = ["/etc/iproute2/rt_realms", join(lab.gateway.folder, "pipe")];
  expect(existsSync(names), `${names} of iproute2`).toBe(true);
  const mounts = `/proc/${lab.gateway.pid}/ns/mnt`;
  expect(readlinkSync(mounts), "mounts of the daemon's own").not.toBe(readlinkSync("/proc/self/ns/mnt"));
  await run("mkfifo", [pipe]);
  await run("nsenter", [`--mount=${mounts}`, "mount", "--bind", pipe, names]);
}

const passed = (ms: number): Promise<null> => new Promise((resolve) => setTimeout(() => resolve(null), ms));
