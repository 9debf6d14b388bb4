import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import { makeForeignTables } from "./foreign-tables.ts";
import { PROGRAM } from "./gateway.mjs";
import { HELD, hold } from "./held-mapping.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { startMapLoad } from "./map-load.mjs";
import { encodeMap } from "./programs/pcp-wire.mjs";
import { addressAfter, batch, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

const run = promisify(execFile);
const FLAPS = 100;
const FORWARDS = 1000;
const KILLS = 12;
const OTHER = "11.22.33.9";
/** What an observer may write of one change: that it began, and what came of it. */
const EVENTS_PER_CHANGE = 2;
/** How long an address must stand before mappings follow it, and a bit. */
const SETTLED_MS = 2500;
/** How often another program meddles, each time 50 ms after the last. */
const MEDDLES = 30;

describe("the network is unsteady", () => {
  scenario(
    `[F24] WAN and LAN interface flap ${FLAPS} times in ten seconds: two events each at most, and all works after it`,
    { timeoutMs: 90_000 },
    async (lab) => {
      const { gateway } = lab.topology;
      await serveAndHold(lab);
      const before = { seq: await lab.gateway.headSeq(), files: openFiles(lab) };
      const down = "link set wan0 down\\nlink set lan0 down\\n";
      const up = `link set wan0 up\\nlink set lan0 up\\nroute replace default via ${WAN_STRANGER} dev wan0\\n`;
      const flap = `printf '${down}' | ip -batch -; sleep 0.045; printf '${up}' | ip -batch -; sleep 0.045`;
      await gateway.exec("sh", "-ec", repeated(FLAPS, flap));
      await expectServed(lab);
      await passTime(SETTLED_MS);
      const events = await lab.gateway.eventsAfter(before.seq);
      for (const name of ["wan0", "lan0"]) {
        const seen = events.filter(({ data }) => data.name === name);
        expect(seen.length, `events of ${name}`).toBeLessThanOrEqual(EVENTS_PER_CHANGE);
      }
      expect(events.filter(({ type }) => !type.startsWith("interface."))).toEqual([]);
      await eventually(async () => expect(openFiles(lab)).toBeLessThanOrEqual(before.files));
    },
  );

  scenario(
    "[F25] the WAN address comes and goes as providers let it: never old and new open together, two events a change at most",
    { timeoutMs: 120_000 },
    async (lab) => {
      const wan = (...commands: string[]) => batch(lab.topology.gateway.namespace, commands);
      const route = `route replace default via ${WAN_STRANGER} dev wan0`;
      await lab.topology.gateway.exec("sysctl", "-qw", "net.ipv4.conf.wan0.promote_secondaries=1");
      await serveAndHold(lab);
      const watch = new OpenAddresses(lab);
      /** The change is made, it settles, the mapping is open at `address` only. */
      const settle = async (what: string, address: string, eventsMax: number, change: () => Promise<void>) => {
        const seq = await lab.gateway.headSeq();
        await change();
        await passTime(SETTLED_MS);
        lab.wanAddress = address;
        await eventually(async () => expect(await watch.look(), what).toEqual([address]), 8000);
        const events = (await lab.gateway.eventsAfter(seq)).map(({ type }) => type);
        expect(events.length, `${what}: ${events.join(", ")}`).toBeLessThanOrEqual(eventsMax);
        expect(await lab.internet.tcp({ host: address, port: 8080 }), what).toMatchObject({ by: "c0" });
      };
      const replace = async (from: string, to: string) =>
        await wan(`address del ${from}/24 dev wan0`, `address add ${to}/24 dev wan0`, route);

      watch.start();
      await settle("renewed as it was", WAN_GATEWAY, 0, () =>
        wan(`address change ${WAN_GATEWAY}/24 dev wan0 valid_lft 3600 preferred_lft 3600`),
      );
      await settle("another and back within a second", WAN_GATEWAY, 0, async () => {
        await replace(WAN_GATEWAY, OTHER);
        await passTime(500);
        await replace(OTHER, WAN_GATEWAY);
      });
      await settle("a second one beside it", WAN_GATEWAY, EVENTS_PER_CHANGE, () =>
        wan(`address add ${OTHER}/24 dev wan0`),
      );
      await settle("the first one goes", OTHER, EVENTS_PER_CHANGE, () =>
        wan(`address del ${WAN_GATEWAY}/24 dev wan0`, route),
      );
      await settle("gone for three seconds", OTHER, 2 * EVENTS_PER_CHANGE, async () => {
        await wan(`address del ${OTHER}/24 dev wan0`);
        await passTime(3000);
        await wan(`address add ${OTHER}/24 dev wan0`, route);
      });
      await settle("back to the first", WAN_GATEWAY, EVENTS_PER_CHANGE, () => replace(OTHER, WAN_GATEWAY));
      const seen = await watch.stop();
      expect(seen.has(WAN_GATEWAY) && seen.has(OTHER), "the watch has seen each open").toBe(true);
      expect(
        [...seen].filter((addresses) => addresses.includes(" ")),
        "open together",
      ).toEqual([]);
      expect(await lab.map(lab.client(), HELD)).toMatchObject({ result: 0, externalAddress: WAN_GATEWAY });
    },
  );
});

describe("other programs meddle with nftables", () => {
  const addresses = Array.from({ length: 50 }, (_, index) => addressAfter("192.168.77.2", index));

  scenario(
    `[F18] [F19] flush, edit and rebuild in a loop over ${FORWARDS} forwards: no event, clients answered, whole again after it`,
    { clientAddresses: addresses.slice(1).map((each) => `${each}/24`), timeoutMs: 120_000 },
    async (lab) => {
      const { gateway } = lab.topology;
      await serveAndHold(lab);
      const { mapping } = await startMapLoad(lab.client().host, {
        server: lab.server,
        addresses,
        protocol: "tcp",
        firstInternalPort: 4000,
        firstSuggestedPort: 10_000,
        count: FORWARDS - 1,
        inFlight: 16,
        lifetime: 7200,
      }).done;
      expect(mapping.answered).toBe(FORWARDS - 1);
      // The guard hears of new holders a moment after they have their answers.
      await eventually(async () => expect(await listOurs(lab)).toContain(addresses.at(-1)));
      const whole = sorted(await listOurs(lab));
      const seq = await lab.gateway.headSeq();

      const meddling: Record<string, string> = {
        flush: "nft flush ruleset",
        "one element": `nft delete element ${await heldElement(lab)} 2>/dev/null || true`,
        "one rule": "nft insert rule inet portreeve prerouting counter accept 2>/dev/null || true",
        "our table remade": `nft '${THEIRS}'`,
      };
      for (const [name, command] of Object.entries(meddling)) {
        const passesBefore = await passes(lab);
        const loop = gateway.exec("sh", "-ec", repeated(MEDDLES, `${command}; sleep 0.05`));
        expect(await lab.map(lab.client(), HELD), `asked during: ${name}`).toMatchObject({
          result: 0,
          externalPort: 8080,
        });
        await loop;
        await eventually(async () => expect(sorted(await listOurs(lab)), name).toEqual(whole), 10_000);
        // A pass a change for each of two reconcilers, and one more for those that were overtaken: no spinning.
        expect((await passes(lab)) - passesBefore, `passes during: ${name}`).toBeLessThanOrEqual(MEDDLES * 4);
      }
      expect(await lab.gateway.eventsAfter(seq), "a drift is no event").toEqual([]);
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
      await makeForeignTables(gateway); // the flushes took them too
    },
  );
});

describe("the daemon is killed", () => {
  scenario(
    `[F2] ${KILLS} times, while it starts and while it serves: no process, anchor or socket of it is left, and teardown removes the rest`,
    { timeoutMs: 120_000 },
    async (lab) => {
      const { gateway } = lab.topology;
      await serveAndHold(lab);
      await lab.gateway.kill();
      const resting = await processes(lab);
      let ready = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        const started = lab.gateway.start().then(
          () => {
            ready += 1;
          },
          () => undefined,
        );
        // By turns somewhere in a start, and with all its helpers running.
        await (kill % 4 === 3 ? started : Promise.race([started, passTime(kill * 70)]));
        await lab.gateway.kill();
        await started;
        await eventually(async () => expect(await processes(lab), `after kill ${kill}`).toEqual(resting));
        const tables = await gateway.exec("nft", "list", "tables");
        expect(tables, `after kill ${kill}`).not.toContain("portreeve_anchor");
        expect(await gateway.exec("ss", "-Huln", "sport", "=", ":5351"), "sockets").toBe("");
        expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 }), "the data plane").toMatchObject({ by: "c0" });
      }
      expect(ready, "kills after it was ready").toBeGreaterThan(0);
      expect(ready, "kills before it was ready").toBeLessThan(KILLS);
      await gateway.exec(process.execPath, PROGRAM, "teardown", "--config", lab.gateway.configFile, "--yes");
      expect(await gateway.exec("nft", "list", "tables")).not.toContain("portreeve");
    },
  );
});

/** Ours removed, and another's of that name in its place, in one transaction. */
const THEIRS = "table inet portreeve; delete table inet portreeve; table inet portreeve { chain theirs { }; }";

const repeated = (count: number, command: string): string =>
  `i=0; while [ $i -lt ${count} ]; do ${command}; i=$((i + 1)); done`;

async function serveAndHold(lab: Lab): Promise<void> {
  await hold(lab);
  await expectServed(lab);
}

/** The held port leads to the client, and the client is answered. */
async function expectServed(lab: Lab): Promise<void> {
  const bytes = encodeMap({ client: lab.client().address, ...HELD });
  await eventually(async () => {
    expect(await lab.internet.tcp({ host: lab.wanAddress, port: 8080 })).toMatchObject({ by: "c0" });
    const reply = await lab.client().pcp({ server: lab.server, bytes, timeoutMs: 400 });
    expect(reply).toMatchObject({ result: 0, externalPort: 8080 });
  }, 10_000);
}

/** For what is about time itself: an address that stands so long, a kill so late. */
const passTime = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function openFiles(lab: Lab): number {
  return readdirSync(`/proc/${lab.gateway.pid}/fd`).length;
}

async function passes(lab: Lab): Promise<number> {
  const { body } = await lab.gateway.get("/metrics");
  const counts = [...body.matchAll(/^portreeve_reconcile_total\{[^}]*\} (\d+)$/gm)].map(([, count]) => Number(count));
  expect(counts.length).toBeGreaterThan(0);
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Pids of what runs on the gateway. */
async function processes(lab: Lab): Promise<string[]> {
  const { stdout } = await run("ip", ["netns", "pids", lab.topology.gateway.namespace]);
  return stdout.split("\n").filter(Boolean).sort();
}

async function listOurs(lab: Lab): Promise<string> {
  const { gateway } = lab.topology;
  const tables = (await gateway.exec("nft", "list", "tables")).split("\n").filter((line) => line.includes("portreeve"));
  return (await Promise.all(tables.map((line) => gateway.exec("nft", "-s", "list", ...line.split(" "))))).join("\n");
}

/** "inet TABLE MAP { KEY }" of the held port, as nft prints it. */
async function heldElement(lab: Lab): Promise<string> {
  const listed = await listOurs(lab);
  const before = listed.slice(0, listed.indexOf(`${WAN_GATEWAY} . tcp . 8080 :`));
  const table = [...before.matchAll(/^table (\S+ \S+)/gm)].at(-1)?.[1];
  const map = [...before.matchAll(/^\s+map (\S+)/gm)].at(-1)?.[1];
  return `${table} ${map} "{ ${WAN_GATEWAY} . tcp . 8080 }"`;
}

/** Elements in any order, as a hash table has them, and without those that packets put in. */
const sorted = (listed: string): string[] =>
  listed
    .split(/[\n,]/)
    .map((line) => line.replace("elements = {", "").replace("}", "").trim())
    .filter((line) => line !== "" && !line.includes("limit rate"))
    .sort();

/** At which addresses the held port is open in the kernel, looked at all the time. */
class OpenAddresses {
  readonly #lab: Lab;
  readonly #seen = new Set<string>();
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  start(): void {
    this.#running = (async () => {
      while (!this.#stopped) {
        this.#seen.add((await this.look()).join(" "));
        await passTime(20);
      }
    })();
    this.#running.catch(() => undefined); // heard of in `stop`
  }

  async stop(): Promise<Set<string>> {
    this.#stopped = true;
    await this.#running;
    return this.#seen;
  }

  async look(): Promise<string[]> {
    const listed = await this.#lab.topology.gateway.exec("nft", "-s", "list", "ruleset");
    return [
      ...new Set([...listed.matchAll(/(11\.22\.33\.\d+) \. tcp \. 8080 :/g)].map(([, address]) => address ?? "")),
    ].sort();
  }
}
