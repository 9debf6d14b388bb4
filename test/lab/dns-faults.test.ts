import { execFile } from "node:child_process";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import type { Host } from "./topology.mjs";
import { WallClock } from "./wall-clock.ts";

const MORTAL = fileURLToPath(new URL("programs/mortal-thread.mjs", import.meta.url));
const ZONE = "lan0.internal";
/** Beyond the fudge of 300 s that everybody signs with. */
const BEYOND_FUDGE_MS = 400_000;
const UPDATES = 24;
const ASKED = 400;
const FORGED = fileURLToPath(new URL("programs/forged-queries.py", import.meta.url));

/** A device of the LAN with its key. */
class Client {
  readonly host: Host;
  readonly server: string;
  /** As `device key` prints it for nsupdate, and what that would be for whoever guesses. */
  readonly keys: Readonly<Record<"right" | "another secret" | "another name", string>>;
  readonly #folder: string;

  constructor(lab: Lab, host: Host, key: string) {
    [this.host, this.server, this.#folder] = [host, lab.server, lab.gateway.folder];
    const another = Buffer.alloc(32, 7).toString("base64");
    this.keys = {
      right: this.#file("right.key", key),
      "another secret": this.#file("secret.key", key.replace(/secret "[^"]*"/, `secret "${another}"`)),
      "another name": this.#file("name.key", key.replace(/^key "[^"]*"/, `key "nobody.${ZONE}"`)),
    };
  }

  nsupdate(key: keyof Client["keys"], line: string): Promise<{ code: number; text: string }> {
    const script = this.#file("update", `server ${this.server}\nzone ${ZONE}\nupdate ${line}\nsend\n`);
    return this.#run("nsupdate", "-u", "1", "-r", "5", "-k", this.keys[key], script);
  }

  dig(...args: string[]): Promise<{ code: number; text: string }> {
    return this.#run("dig", `@${this.server}`, "+tries=1", "+time=1", ...args);
  }

  /** With stderr, as nsupdate tells there what it was answered. */
  #run(program: string, ...args: string[]): Promise<{ code: number; text: string }> {
    return new Promise((resolve) => {
      const all = ["netns", "exec", this.host.namespace, program, ...args];
      execFile("ip", all, { timeout: 20_000 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, text: `${stdout}${stderr}` });
      });
    });
  }

  #file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }
}

const options = () => ({
  needs: ["dig", "nsupdate", "faketime"],
  timeoutMs: 120_000,
  config: {
    lan: [{ interface: "lan0", dns: true }],
    portControl: { perDevice: { eventBurst: 200, eventsPerMinute: 200 } },
  },
});

describe("[D1] [D2] the resolver in bad hours", () => {
  scenario(
    "tells nsupdate and dig BADTIME, BADSIG and BADKEY, and answers again by itself when its thread has died",
    options(),
    async (lab) => {
      const [host] = lab.topology.clients;
      if (host === undefined) throw new Error("no client");
      // The gateway's clock is the wrong one: these programs and libfaketime wait for each other.
      const wall = new WallClock(lab);
      const death = join(lab.gateway.folder, "death");
      await lab.gateway.stop();
      await lab.gateway.start({ NODE_OPTIONS: `--import=${MORTAL}`, PORTREEVE_TEST_DEATH: death });
      const add = ["device", "add", "nas", "--kind", "server", "--lan", "lan0", "--ip", host.address];
      expect(await lab.gateway.cli(...add)).toMatchObject({ code: 0 });
      const { stdout: key } = await lab.gateway.cli("device", "key", "nas", "--dns");
      const client = new Client(lab, host, key);
      await eventually(async () => expect((await client.dig(`nas.${ZONE}`)).text).toContain(host.address));
      await badSignatures(client, wall);
      await deaths(lab, client, death);
    },
  );

  scenario(
    "is there again as soon as the address it is served at has come back and stands",
    { needs: ["dig"], config: { lan: [{ interface: "lan0", dns: true }] } },
    async (lab) => {
      const [host] = lab.topology.clients;
      const dig = [`@${lab.server}`, "+tries=1", "+time=1", `nobody.${ZONE}`];
      const isServed = async (): Promise<void> => expect(await host?.exec("dig", ...dig)).toContain("NXDOMAIN");
      const address = (verb: "add" | "del"): Promise<string> =>
        lab.topology.gateway.exec("ip", "address", verb, `${lab.server}/24`, "dev", "lan0");
      await eventually(isServed);
      const before = await lab.gateway.headSeq();
      await address("del");
      await eventually(async () => expect(await lab.gateway.eventsAfter(before)).toHaveLength(1));
      await address("add");
      // What stands for 2 s is recorded; of the kernel's interfaces the next look without a cause is after 30 s.
      await eventually(isServed, 8000);
    },
  );

  scenario(
    "F33 answers that wait for neighbours who are not there keep nobody else's waiting",
    { needs: ["dig"], clients: 2, config: { lan: [{ interface: "lan0", dns: true }] } },
    async (lab) => {
      const [host, other] = lab.topology.clients;
      if (host === undefined || other === undefined) throw new Error("no clients");
      const batch = join(lab.gateway.folder, "names");
      writeFileSync(batch, Array.from({ length: ASKED }, (_, index) => `n${index}.${ZONE} A\n`).join(""));
      const prefix = lab.server.replace(/\.\d+$/, "");
      const forging = other.exec("/usr/bin/python3", FORGED, ZONE, prefix, lab.server, "6");
      // More than sockets have room for, unless they are given more.
      await eventually(async () => expect(await waiting(lab)).toBeGreaterThan(4_000_000));
      const text = await host.exec("dig", `@${lab.server}`, "+tries=1", "+time=1", "-f", batch);
      expect(Number(await forging)).toBeGreaterThan(10_000);
      // The machine may be busy with something else for a moment.
      expect(text.match(/timed out/g)?.length ?? 0).toBeLessThanOrEqual(1);
      expect(text.match(/status: NXDOMAIN/g)?.length).toBeGreaterThanOrEqual(ASKED - 1);
    },
  );
});

/** Octets of answers that wait to be sent, with what the kernel needs for each. */
async function waiting(lab: Lab): Promise<number> {
  const sockets = await lab.topology.gateway.exec("ss", "-uanH", "sport = :53");
  return Number(sockets.trim().split(/\s+/)[2]);
}

async function badSignatures(client: Client, wall: WallClock): Promise<void> {
  const said = async (key: keyof Client["keys"], error: string): Promise<void> => {
    const update = await client.nsupdate(key, `add bad.${ZONE} 60 A 10.0.0.1`);
    expect(update, update.text).toMatchObject({ code: 2, text: expect.stringContaining(`NOTAUTH(${error})`) });
    for (const transport of ["+notcp", "+tcp"]) {
      const { text } = await client.dig("-k", client.keys[key], transport, `nas.${ZONE}`);
      expect(text).toContain("status: NOTAUTH");
      expect(text).toMatch(new RegExp(`TSIG PSEUDOSECTION:\\n.* ${error} `));
    }
  };
  await said("another secret", "BADSIG");
  await said("another name", "BADKEY");
  for (const shift of [BEYOND_FUDGE_MS, -BEYOND_FUDGE_MS]) {
    await wall.shift(shift);
    await said("right", "BADTIME");
  }
  await wall.shift(0);
  expect((await client.dig(`bad.${ZONE}`)).text).toContain("status: NXDOMAIN");
}

/** Updates one after the other, with deaths among them: whatever is acknowledged is served in the end. */
async function deaths(lab: Lab, client: Client, file: string): Promise<void> {
  const kill = (how: string): void => {
    writeFileSync(`${file}.new`, how);
    renameSync(`${file}.new`, file);
  };
  const names: string[] = [];
  for (let count = 0; count < UPDATES; count += 1) {
    if (count === UPDATES / 3) kill("throw");
    if (count === (2 * UPDATES) / 3) kill("exit");
    const name = `r${count}.${ZONE}`;
    if ((await client.nsupdate("right", `add ${name} 60 A 10.0.0.${count + 1}`)).code === 0) names.push(name);
  }
  await eventually(async () => expect((await lab.gateway.get("/metrics")).body).toMatch(LOST_TWICE));
  expect(existsSync(file)).toBe(false);
  await eventually(async () => expect((await client.dig(`nas.${ZONE}`)).text).toContain(client.host.address));
  expect(names.length).toBeGreaterThan(UPDATES / 2);
  for (const name of names) expect((await client.dig(name)).text, name).toContain("status: NOERROR");
  const told = lab.gateway.log.filter((line) => line.includes("the DNS thread is started anew")).join("\n");
  expect(told).toContain("a death that a test wanted");
  expect(told).toContain("ended with 3");
  const { findings } = await lab.gateway.json<{ findings: { check: string }[] }>("doctor");
  expect(findings).toContainEqual(
    expect.objectContaining({ check: "threads", level: "warning", message: expect.stringContaining("2 times") }),
  );
}

const LOST_TWICE = /^portreeve_dns_thread_losses_total 2$/m;
