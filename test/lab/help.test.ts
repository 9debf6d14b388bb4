import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { generateKeyPair, generatePresharedKey, textOf } from "../../src/adapters/wireguard/keys.ts";
import { totpCode, totpStep } from "../../src/api/auth/totp.ts";
import type { DeviceDocument } from "../../src/api/schemas/device.ts";
import type { Outside } from "../../src/cli/cli.ts";
import { runCommandLine } from "../../src/cli/program.ts";
import { DRY_RUN, OUTPUTS, WITHOUT_OUTPUT } from "../../src/daemon/output-schemas.ts";
import { programsOf } from "../../src/daemon/programs.ts";
import { openSnapshots } from "../../src/events/snapshot-store.ts";
import type { CliResult } from "./gateway.mjs";
import { SESSION, type Step } from "./help-session.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { cliOn } from "./other-firewalls.ts";
import { tunnelName } from "./tunnel.ts";

const PASSWORD = "correct horse battery staple";
const SETTLED_WITHIN_MS = 60_000;
/** What these do is in the gateway's namespace, so it is there that they have to run. */
const ON_THE_GATEWAY = /^portreeve (doctor|teardown)\b/;
/** Prints what it prints one record a line, whether asked for or not. */
const LINES = new Set(["events tail", "events export"]);

describe("the examples of every --help", () => {
  const config = { wireguard: { interface: tunnelName() } };
  scenario(
    "[A4] are a session that works, and what it prints with --json is what its schemas say",
    { config, needs: ["wg", "wireguard-go", "haproxy"], timeoutMs: 240_000 },
    async (lab) => {
      const typists = (["json", "text"] as const).map((form) => new Typist(lab, form));
      const stop = SESSION.findIndex(({ line }) => line === STOP);
      for (const typist of typists) for (const step of SESSION.slice(0, stop)) await typist.take(step);
      await lab.gateway.stop();
      for (const typist of typists) await typist.endOfTail();
      for (const step of SESSION.slice(stop + 1)) {
        if (step.line.startsWith("portreeve run ")) await lab.gateway.start();
        else for (const typist of typists) await typist.take(step);
      }
    },
  );
});

const STOP = "(the daemon stops)";

/** Nothing is there, or it may not be: said on stderr alone. */
const isRefusal = (code: number): boolean => code === 3 || code === 4;

/** A person at the gateway who types one line after the other, each with --json or none, and answers yes. */
class Typist {
  readonly #lab: Lab;
  readonly #json: boolean;
  readonly #folder = mkdtempSync(join(tmpdir(), "portreeve-help-"));
  #tail: { readonly step: Step; readonly ran: Promise<CliResult> } | null = null;
  #newest = 0;

  constructor(lab: Lab, form: "json" | "text") {
    this.#lab = lab;
    this.#json = form === "json";
    onTestFinished(() => rmSync(this.#folder, { recursive: true, force: true }));
    this.#writeFiles();
  }

  async take(step: Step): Promise<void> {
    if (step.line === "(a device asks for 8080/tcp)") await this.#ask();
    else if (step.line === "portreeve events tail") await this.#follow(step);
    else await this.#type(step);
  }

  /** What followed the log ends with the daemon. */
  async endOfTail(): Promise<void> {
    if (this.#tail === null) throw new Error("nothing follows the log");
    this.#check(this.#tail.step, await this.#tail.ran);
  }

  async #type(step: Step): Promise<void> {
    if (step.line.includes("1842")) this.#newest = await this.#newestSeq();
    const words = await this.#words(step.line);
    const { gateway } = this.#lab;
    let ran = ON_THE_GATEWAY.test(step.line) ? await cliOn(gateway, words) : await this.#run(words);
    if (/within 5 s; the promise was withdrawn/.test(ran.stderr)) ran = await this.#run(words);
    if (/within 5 s; what was there before stays/.test(ran.stderr)) return await this.#settle();
    this.#check(step, ran);
  }

  /** On a machine that is busy with other labs a change may take longer than its command waits. */
  async #settle(): Promise<void> {
    const seq = await this.#newestSeq();
    await eventually(async () => {
      expect(await this.#lab.gateway.get(`/api/v1/status?wait=${seq}`)).toMatchObject({ status: 200 });
    }, SETTLED_WITHIN_MS);
  }

  #check({ line, exits }: Step, { code, stdout, stderr }: CliResult): void {
    expect(exits, `${line}\n${stdout}\n${stderr}`).toContain(code);
    const command = commandOf(line);
    if (!this.#json && !line.endsWith("--json")) {
      expect(isRefusal(code) ? stderr : stdout, line).not.toBe("");
      return;
    }
    if (WITHOUT_OUTPUT.has(command) || isRefusal(code)) return;
    const schema = /--dry-run|^portreeve plan /.test(line) && !/ reconciler /.test(line) ? DRY_RUN : OUTPUTS[command];
    const texts = LINES.has(command) ? stdout.split("\n").filter((each) => each !== "") : [stdout];
    for (const text of texts) {
      const parsed = schema.safeParse(JSON.parse(text));
      expect(parsed.error?.issues ?? [], `${line} printed ${text.slice(0, 2000)}`).toEqual([]);
    }
  }

  async #run(words: readonly string[], onOut: (text: string) => void = () => {}): Promise<CliResult> {
    let [stdout, stderr] = ["", ""];
    const said = (text: string): void => {
      stderr += text;
    };
    const terminal: Outside["terminal"] = {
      out: (text) => {
        stdout += text;
        onOut(text);
        return Promise.resolve();
      },
      err: said,
      interactive: true,
      isScreen: false,
      ask: (question) => {
        said(question);
        return Promise.resolve("y");
      },
      askSecret: (question) => {
        said(question);
        return Promise.resolve(question.startsWith("The code") ? codeFor(stderr) : PASSWORD);
      },
    };
    const { socket, configFile } = this.#lab.gateway;
    const env = { PORTREEVE_SOCKET: socket, PORTREEVE_CONFIG: configFile };
    const programs = programsOf("0.0.0");
    const code = await runCommandLine(words, { terminal, env, version: "0.0.0", programs, now: Date.now });
    return { code, stdout, stderr };
  }

  async #words(line: string): Promise<string[]> {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? (match[2] as string)).slice(1);
    const places = this.#places(line);
    const replaced = words.map((word, index) => {
      // After the newest record there would be nothing to show.
      if (word === "1842") return String(words[index - 1] === "--after" ? this.#newest - 1 : this.#newest);
      if (word === "2h ago") return new Date().toISOString();
      return places[word] ?? word;
    });
    const peer = replaced.findIndex((word) => word.startsWith("xTIBA5rboUvnH4ht"));
    if (peer >= 0) replaced[peer] = (await this.#device("nas")).publicKey ?? "";
    return this.#json && !line.endsWith("--json") ? [...replaced, "--json"] : replaced;
  }

  /** Where in the lab is what an example names. */
  #places(line: string): Readonly<Record<string, string>> {
    const { gateway } = this.#lab;
    const here = (name: string): string => join(this.#folder, name);
    return {
      "portreeve.yaml": gateway.configFile,
      "gateway.yaml": here("gateway.yaml"),
      "gateway.backup": here("gateway.backup"),
      "dump.json": here("dump.json"),
      "/etc/wireguard": here("wireguard"),
      "/var/lib/misc/upnp.leases": here("upnp.leases"),
      "/etc/portreeve/backup.pass": here("backup.pass"),
      "/var/lib/portreeve": line.startsWith("portreeve restore") ? here("restored") : gateway.dataDir,
    };
  }

  #writeFiles(): void {
    const here = (name: string): string => join(this.#folder, name);
    const [server, phone] = [generateKeyPair(), generateKeyPair()];
    const psk = textOf(generatePresharedKey());
    writeFileSync(here("backup.pass"), "a passphrase that is long enough\n", { mode: 0o600 });
    writeFileSync(here("upnp.leases"), "TCP:8081:192.168.77.2:80:0:web\n");
    const port = { name: "camera", port: "9443/tcp", to: "shed:443" };
    const device = { name: "shed", interface: "lan0", address: "192.168.77.40" };
    writeFileSync(here("gateway.yaml"), JSON.stringify({ name: "garden", devices: [device], ports: [port] }));
    mkdirSync(here("wireguard"));
    writeFileSync(
      here("wireguard/wg0.conf"),
      `[Interface]\nAddress = 10.61.0.1/24\nListenPort = 51820\nPrivateKey = ${textOf(server.privateKey)}\n\n` +
        `[Peer]\n# phone\nPublicKey = ${phone.publicKey}\nPresharedKey = ${psk}\nAllowedIPs = 10.61.0.2/32\n`,
    );
    const client = { name: "Phone", key: textOf(phone.privateKey), psk, kind: "client" };
    const subnets = { "10.62.0.1/24": { name: "Phones", clients: { "10.62.0.2": client } } };
    const dump = { wg: { port: 51820, key: textOf(server.privateKey), subnets }, portForwards: {} };
    writeFileSync(here("dump.json"), JSON.stringify(dump));
  }

  async #device(name: string): Promise<DeviceDocument> {
    const { stdout } = await this.#run(["device", "list", "--json"]);
    const found = (JSON.parse(stdout) as DeviceDocument[]).find((device) => device.name === name);
    if (found === undefined) throw new Error(`there is no device ${name}`);
    return found;
  }

  /** Of what was typed: the gateway may have seen something of the kernel since. Without a daemon only snapshots are there. */
  async #newestSeq(): Promise<number> {
    const { running, dataDir } = this.#lab.gateway;
    if (!running) return (await openSnapshots(dataDir).list())[0]?.seq ?? 0;
    const { stdout } = await this.#run(["events", "list", "--limit", "50", "--json"]);
    const records = JSON.parse(stdout) as { seq: number; source: string }[];
    return records.findLast(({ source }) => source.startsWith("api:"))?.seq ?? 0;
  }

  async #ask(): Promise<void> {
    const request = { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 } as const;
    expect(await this.#lab.map(this.#lab.client(), request)).toMatchObject({ result: 0 });
  }

  /** Runs until the daemon stops, and has shown records until then. */
  async #follow(step: Step): Promise<void> {
    let shown = "";
    const words = await this.#words(step.line);
    const ran = this.#run(words, (text) => {
      shown += text;
    });
    this.#tail = { step, ran };
    await eventually(async () => {
      await this.#run(["port", "add", "5999/tcp", "192.168.7.2"]);
      await this.#run(["port", "remove", "5999/tcp"]);
      expect(shown).toContain("mapping.granted");
    });
  }
}

type CommandName = keyof typeof OUTPUTS;

/** The words that name a command of the program. */
function commandOf(line: string): CommandName {
  const words = line.split(" ").slice(1);
  return ([words.slice(0, 2).join(" "), words[0]].find((name) => name !== undefined && name in OUTPUTS) ??
    words[0]) as CommandName;
}

/** What the authenticator app shows that was given the secret of this text. */
function codeFor(text: string): string {
  const secret = /(?:secret=|type )([A-Z2-7]+)/.exec(text)?.[1] ?? "";
  const bits = secret
    .split("")
    .map((each) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(each).toString(2).padStart(5, "0"));
  const bytes = bits.join("").match(/.{8}/g) ?? [];
  return totpCode(
    Uint8Array.from(bytes, (each) => Number.parseInt(each, 2)),
    totpStep(Date.now()),
  );
}
