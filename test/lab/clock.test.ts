import { openSync, readFileSync, readlinkSync, writeFileSync, writeSync } from "node:fs";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { uptime } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import type { Port } from "./gateway.mjs";
import { eventually, type Lab, scenario } from "./lab.ts";
import { encodeAnnounce, epochIsValid } from "./programs/pcp-wire.mjs";
import { WAN_GATEWAY } from "./topology.mjs";
import { prefixDaemon, WallClock } from "./wall-clock.ts";

const run = promisify(execFile);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
/** On a machine that is busy with other tests. */
const PATIENCE_MS = 120_000;
/** Short leases, and no waiting for a port of which the holder is gone. */
const config = { portControl: { lifetime: { pcpMin: 1 }, quarantine: 0 } };

describe("the clocks of the machine", () => {
  scenario(
    "[F16] [I9] [I10] the wall clock leaps ten years on, a day back, and to and fro, across a kill and a stop: no mapping is lost, leases end when promised, the epoch goes on",
    { config, needs: ["faketime"], timeoutMs: PATIENCE_MS },
    async (lab) => {
      const client = lab.client();
      const wall = new WallClock(lab);
      await lab.gateway.stop();
      await lab.gateway.start();
      await client.listen({ tcp: [8080] });
      const lasting = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, lifetime: 7200 };
      const granted = await lab.map(client, { ...lasting, nonce: "ab".repeat(12) });
      expect(granted).toMatchObject({ result: 0, externalPort: 8080 });
      await lab.gateway.json("port", "add", "9090/tcp", client.address, "--for", "2h");
      const before = await ends(lab);
      expect(before.size).toBe(2);
      const epochs = new Epochs(lab);

      const short = await grantShort(lab, 5);
      for (const shiftMs of [10 * YEAR_MS, -DAY_MS, 10 * YEAR_MS]) {
        await wall.shift(shiftMs);
        await epochs.sample();
        expect(await ends(lab), `the wall clock shifted by ${shiftMs} ms`).toEqual(new Map([...before, ...short.ends]));
      }
      await short.expectEnd();
      expect(await ends(lab)).toEqual(before);

      await lab.gateway.kill();
      wall.set(-DAY_MS);
      await lab.gateway.start();
      await epochs.sample();
      await lab.gateway.stop();
      wall.set(10 * YEAR_MS);
      await lab.gateway.start();
      await epochs.sample();
      const after = await ends(lab);
      expect([...after.keys()]).toEqual([...before.keys()]);
      for (const [port, end] of after) {
        // Later by the grace of a restart at the most, and by no jump.
        expect(end - (before.get(port) ?? 0), port).toBeGreaterThanOrEqual(-1000);
        expect(end - (before.get(port) ?? 0), port).toBeLessThan(60_000);
      }
      const shortAgain = await grantShort(lab, 2);
      await wall.shift(-DAY_MS);
      await shortAgain.expectEnd();
      expect(epochs.faults, "epochs a client would take for lost state (RFC 6887 §8.5)").toEqual([]);
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
    },
  );

  scenario(
    "[F17] [I9] an hour's suspend: what ended in it is gone before the first answer, the rest ends when promised",
    { clients: 2, config, timeoutMs: PATIENCE_MS },
    async (lab) => {
      const [holder, other] = [lab.client(0), lab.client(1)];
      await other.listen({ tcp: [7000] });
      const held = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, nonce: "ab".repeat(12) };
      expect(await lab.map(holder, { ...held, lifetime: 1800 })).toMatchObject({ result: 0, externalPort: 8080 });
      await lab.map(holder, { protocol: "tcp", internalPort: 9090, suggestedPort: 9090, lifetime: 7200 });
      await lab.map(holder, { protocol: "tcp", internalPort: 9191, suggestedPort: 9191, lifetime: 3603 });
      const endOf9090 = (await ends(lab)).get("9090/tcp");
      const epochs = new Epochs(lab);
      await epochs.sample();

      const machine = await Suspend.of(lab);
      const wanted = { protocol: "tcp" as const, internalPort: 7000, suggestedPort: 8080, lifetime: 600 };
      // Asked in its sleep: it lies in the socket, and is read before any timer has run.
      const answered = lab.map(other, wanted, 20_000);
      await eventually(async () => expect(await datagramsWaiting(lab)).toBeGreaterThan(0));
      try {
        machine.wakeAfter(HOUR_MS);
        expect(await answered, "the port of the lease that ended is free").toMatchObject({
          result: 0,
          externalPort: 8080,
        });
        expect((await ends(lab)).get("9090/tcp")).toBe(endOf9090);
        expect((await lab.map(holder, { ...held, lifetime: 1800 }))?.externalPort).not.toBe(8080);
        await eventually(async () => expect((await ends(lab)).has("9191/tcp")).toBe(false), 6000);
        await epochs.sample();
        expect(epochs.last - epochs.first, "the suspend counts for the epoch").toBeGreaterThanOrEqual(3600);
        expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c1" });
      } finally {
        machine.close();
      }
    },
  );

  scenario(
    "[F16] [F17] an hour's suspend while it is stopped, the wall clock a day back: gateway time goes by boot time",
    { config, needs: ["faketime"], timeoutMs: PATIENCE_MS },
    async (lab) => {
      await lab.map(lab.client(), { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 7200 });
      const before = await ends(lab);
      const epochs = new Epochs(lab);
      await epochs.sample();
      await lab.gateway.stop();
      const wall = new WallClock(lab);
      wall.set(-DAY_MS);
      // A time namespace: CLOCK_BOOTTIME and /proc/uptime an hour on, the boot id the same (time_namespaces(7)).
      const later = ["unshare", "--time", "--boottime", String(HOUR_MS / 1000), "--fork", "--kill-child"];
      prefixDaemon(lab, [...later, ...wall.prefix]);
      await lab.gateway.start();
      expect(await ends(lab)).toEqual(before);
      await epochs.sample();
      expect(epochs.last - epochs.first).toBeGreaterThanOrEqual(3600);
      expect(epochs.last - epochs.first).toBeLessThan(3660);
    },
  );

  scenario(
    "[F16] [I10] a power cut, and the wall clock a day back after it: no client sees the epoch go back",
    { config, needs: ["faketime"], timeoutMs: PATIENCE_MS },
    async (lab) => {
      await lab.map(lab.client(), { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 7200 });
      const epochs = new Epochs(lab);
      await epochs.sample();
      const nextSecond = epochs.last + 2;
      await eventually(async () => {
        await epochs.sample();
        expect(epochs.last, "told, and nothing of it is in the log").toBeGreaterThanOrEqual(nextSecond);
      });
      const told = epochs.last;
      await lab.gateway.kill();
      const wall = new WallClock(lab);
      wall.set(-DAY_MS);
      prefixDaemon(lab, [...inAnotherBoot(lab), ...wall.prefix]);
      await lab.gateway.start();
      await epochs.sample();
      expect(epochs.last).toBeGreaterThanOrEqual(told);
      const events = await lab.gateway.json<{ type: string }[]>("events", "list", "--type", "epoch,clock");
      expect(events.map(({ type }) => type)).toEqual(["epoch.advanced"]);
      expect([...(await ends(lab)).keys()]).toEqual(["8080/tcp"]);
    },
  );
});

/** Another boot of the machine: another boot id, in a mount namespace of the daemon's own. */
function inAnotherBoot(lab: Lab): string[] {
  const id = join(lab.gateway.folder, "boot-id");
  writeFileSync(id, `${randomUUID()}\n`);
  const mounted = `mount --bind ${id} /proc/sys/kernel/random/boot_id && exec "$@"`;
  return ["unshare", "--mount", "sh", "-ec", mounted, "sh"];
}

/**
 * A suspend as the daemon lives through it: it does not run, CLOCK_MONOTONIC stands still for it, and the next reading of
 * /proc/uptime, where Node has boot time from, is an hour on. That file is covered in the daemon's own mount namespace.
 */
class Suspend {
  readonly #pid: number;
  readonly #file: number;
  #ticking: NodeJS.Timeout | null = null;

  private constructor(pid: number, file: number) {
    this.#pid = pid;
    this.#file = file;
  }

  static async of(lab: Lab): Promise<Suspend> {
    const { pid } = lab.gateway;
    const mounts = `/proc/${pid}/ns/mnt`;
    expect(readlinkSync(mounts), "mounts of the daemon's own").not.toBe(readlinkSync("/proc/self/ns/mnt"));
    expect(readFileSync(`/proc/${pid}/mountinfo`, "utf8"), "mounts that stay there").not.toContain(" shared:");
    process.kill(pid, "SIGSTOP");
    const path = join(lab.gateway.folder, "uptime");
    const suspend = new Suspend(pid, openSync(path, "w"));
    suspend.#write(0);
    await run("nsenter", [`--mount=${mounts}`, "mount", "--bind", path, "/proc/uptime"]);
    return suspend;
  }

  wakeAfter(ms: number): void {
    this.#write(ms);
    this.#ticking = setInterval(() => this.#write(ms), 10);
    process.kill(this.#pid, "SIGCONT");
  }

  close(): void {
    if (this.#ticking !== null) clearInterval(this.#ticking);
  }

  #write(aheadMs: number): void {
    writeSync(this.#file, `${(uptime() + aheadMs / 1000).toFixed(2).padStart(14, "0")} 0.00\n`, 0);
  }
}

/** Bytes in the receive queues of the gateway's port control sockets (/proc/net/udp: tx_queue:rx_queue). */
async function datagramsWaiting(lab: Lab): Promise<number> {
  const PORT_HEX = ":14E7"; // 5351
  const listed = await lab.topology.gateway.exec("cat", "/proc/net/udp");
  const queues = listed.split("\n").map((line) => line.trim().split(/\s+/));
  const ours = queues.filter((fields) => fields[1]?.endsWith(PORT_HEX));
  return ours.reduce((sum, fields) => sum + Number.parseInt(fields[4]?.split(":")[1] ?? "0", 16), 0);
}

/** External port → when it ends, gateway time. */
async function ends(lab: Lab): Promise<Map<string, number>> {
  const ports = JSON.parse((await lab.gateway.get("/api/v1/ports")).body) as Port[];
  const pairs = ports.map((port): [string, number] => [
    `${port.external.port}/${port.protocol}`,
    Date.parse(port.expiresAt ?? ""),
  ]);
  return new Map(pairs);
}

/** A lease of some seconds; `expectEnd` awaits its end and fails if that is before it was promised to. */
async function grantShort(
  lab: Lab,
  seconds: number,
): Promise<{ ends: Map<string, number>; expectEnd(): Promise<void> }> {
  const SHORT = "9999/udp";
  const askedAt = performance.now();
  const reply = await lab.map(lab.client(), {
    protocol: "udp",
    internalPort: 9999,
    suggestedPort: 9999,
    lifetime: seconds,
  });
  expect(reply).toMatchObject({ result: 0, externalPort: 9999, lifetime: seconds });
  const listed = [...(await ends(lab))].filter(([port]) => port === SHORT);
  return {
    ends: new Map(listed),
    async expectEnd() {
      await eventually(async () => expect((await ends(lab)).has(SHORT)).toBe(false), seconds * 1000 + 5000);
      expect(performance.now() - askedAt, "no lease ends before it was promised to").toBeGreaterThanOrEqual(
        seconds * 1000,
      );
    },
  };
}

/** What a client makes of the epochs it is told. */
class Epochs {
  readonly faults: string[] = [];
  readonly #lab: Lab;
  #samples: { epoch: number; at: number }[] = [];

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  get first(): number {
    return this.#samples[0]?.epoch ?? Number.NaN;
  }

  get last(): number {
    return this.#samples.at(-1)?.epoch ?? Number.NaN;
  }

  async sample(): Promise<void> {
    const client = this.#lab.client();
    const reply = await client.pcp({
      server: this.#lab.server,
      bytes: encodeAnnounce(client.address),
      timeoutMs: 8000,
    });
    expect(reply, "an answer to ANNOUNCE").toMatchObject({ result: 0 });
    const sample = { epoch: reply?.epoch ?? Number.NaN, at: performance.now() / 1000 };
    const before = this.#samples.at(-1) ?? null;
    if (!epochIsValid(before, sample)) this.faults.push(JSON.stringify({ before, sample }));
    this.#samples.push(sample);
  }
}
