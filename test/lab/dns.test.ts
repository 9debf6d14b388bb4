import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { parseName } from "../../src/lib/domain-name.ts";
import { deviceKeyOf, keyTexts, updateKeyOf } from "../../src/protocols/dns/tsig-key.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import type { Host } from "./topology.mjs";
import { TunnelPeer, tunnelName } from "./tunnel.ts";

const NEEDS = ["wg", "wg-quick", "wireguard-go", "dig", "nsupdate", "knsupdate", "kdig", "faketime"];

interface Said {
  readonly code: number;
  readonly text: string;
}

/** A device with a tunnel, its keys, and what it runs. */
class Client {
  readonly peer: TunnelPeer;
  readonly host: Host;
  readonly server: string;
  readonly zone: string;
  readonly keyFile: string;
  readonly startosKeyFile: string;
  /** `hmac-sha256:name:secret`, for knsupdate. */
  readonly keyLine: string;
  readonly #folder: string;

  constructor(
    peer: TunnelPeer,
    host: Host,
    config: string,
    name: string,
    { server, zone }: { server: string; zone: string },
  ) {
    [this.peer, this.host, this.server, this.zone] = [peer, host, server, zone];
    this.#folder = mkdtempSync(join(tmpdir(), "portreeve-dns-"));
    const psk = Buffer.from(/^PresharedKey = (.+)$/m.exec(config)?.[1] ?? "", "base64");
    const keyName = parseName(`${name}.${zone}`);
    const [own, startos] = [keyName === null ? null : deviceKeyOf(psk, keyName), updateKeyOf(psk)];
    if (own === null || startos === null) throw new Error("the configuration has no preshared key");
    this.keyFile = this.#file("own.key", keyTexts(own.name, own.secret, server).bindFile);
    this.startosKeyFile = this.#file("startos.key", keyTexts(startos.name, startos.secret, server).bindFile);
    this.keyLine = keyTexts(own.name, own.secret, server).option;
  }

  get address(): string {
    return this.peer.address;
  }

  /** With stderr, as nsupdate tells there what it was answered. */
  run(program: string, ...args: string[]): Promise<Said> {
    return new Promise((resolve) => {
      const all = ["netns", "exec", this.host.namespace, program, ...args];
      execFile("ip", all, { timeout: 20_000 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, text: `${stdout}${stderr}` });
      });
    });
  }

  dig(...args: string[]): Promise<Said> {
    return this.run("dig", `@${this.server}`, "+tries=1", "+time=3", ...args);
  }

  async short(...args: string[]): Promise<string[]> {
    return (await this.dig("+short", ...args)).text.split("\n").filter(Boolean);
  }

  nsupdate(lines: readonly string[], ...args: string[]): Promise<Said> {
    const script = this.#file("update", [`server ${this.server}`, ...lines, "send", ""].join("\n"));
    return this.run("nsupdate", ...(args.length === 0 ? ["-k", this.keyFile] : args), script);
  }

  knsupdate(lines: readonly string[], ...args: string[]): Promise<Said> {
    const script = this.#file(
      "kupdate",
      [`server ${this.server}`, `zone ${this.zone}`, ...lines, "send", "answer", "quit", ""].join("\n"),
    );
    return this.run("knsupdate", "-k", this.#file("k.key", `${this.keyLine}\n`), ...args, script);
  }

  #file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  async close(): Promise<void> {
    await this.peer.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface SubnetJson {
  readonly gateway: string;
}

async function clientOf(
  lab: Lab,
  index: number,
  name: string,
  place: { server: string; zone: string },
): Promise<Client> {
  const host = lab.topology.peers[index];
  if (host === undefined) throw new Error("the lab has too few peers");
  const { stdout } = await lab.gateway.cli("device", "config", name);
  return new Client(await TunnelPeer.up(host, lab.gateway, name), host, stdout, name, place);
}

async function done(lab: Lab, ...args: string[]): Promise<void> {
  const said = await lab.gateway.cli(...args);
  expect(said, said.stderr).toMatchObject({ code: 0 });
}

const options = () => ({
  needs: NEEDS,
  peers: 3,
  timeoutMs: 120_000,
  config: { lan: [{ interface: "lan0" }], wireguard: { interface: tunnelName() } },
});

describe("[D1] [D3] [D5] [D7] names of devices, through their tunnels", () => {
  scenario(
    "are put, seen by the others, replaced and taken away with nsupdate and knsupdate",
    options(),
    async (lab) => {
      await done(lab, "device", "add", "nas", "--kind", "server");
      await done(lab, "device", "add", "cam", "--kind", "server");
      await done(lab, "subnet", "add", "lab", "10.61.0.0/24");
      await done(lab, "device", "add", "box", "--kind", "server", "--subnet", "lab");
      const [first, second] = await lab.gateway.json<SubnetJson[]>("subnet", "list");
      const home = { server: first?.gateway ?? "", zone: "home.internal" };
      const clients = await Promise.all([
        clientOf(lab, 0, "nas", home),
        clientOf(lab, 1, "cam", home),
        clientOf(lab, 2, "box", { server: second?.gateway ?? "", zone: "lab.internal" }),
      ]);
      try {
        await tell(lab, ...clients);
      } finally {
        for (const client of clients) await client.close();
      }
    },
  );
});

async function tell(lab: Lab, nas: Client, cam: Client, box: Client): Promise<void> {
  await eventually(async () => expect(await nas.short("nas.home.internal")).toEqual([nas.address]), 15_000);
  await ownNames(nas, cam, box);
  await updates(nas, cam);
  await otherDevices(nas, cam, box);
  await badSignatures(nas, cam);
  await startos(lab, nas, cam);
  await transfer(nas);
}

async function ownNames(nas: Client, cam: Client, box: Client): Promise<void> {
  expect(await cam.short("nas.home.internal")).toEqual([nas.address]);
  expect(await cam.short("-x", nas.address)).toEqual(["nas.home.internal."]);
  expect(await box.short("box.lab.internal")).toEqual([box.address]);
  const soa = await cam.dig("home.internal", "SOA");
  expect(soa.text).toMatch(/flags: qr aa rd ra;/);
  expect(soa.text).toMatch(/ANSWER SECTION:\nhome\.internal\.\s+\d+\s+IN\s+SOA\s+ns\.home\.internal\./);
  expect(await cam.short("ns.home.internal")).toEqual([cam.server]);
  expect((await cam.dig("+tcp", "none.home.internal")).text).toContain("status: NXDOMAIN");
}

async function updates(nas: Client, cam: Client): Promise<void> {
  const add = [
    "zone home.internal",
    "prereq nxdomain web.home.internal",
    "update add web.home.internal 60 A 10.59.0.77",
  ];
  expect(await nas.nsupdate(add)).toMatchObject({ code: 0 });
  expect(await cam.short("web.home.internal")).toEqual(["10.59.0.77"]);
  expect(await nas.nsupdate(add, "-v", "-k", nas.keyFile)).toMatchObject({
    code: 2,
    text: expect.stringContaining("YXDOMAIN"),
  });
  const replace = [
    "zone home.internal",
    "update delete web.home.internal A",
    "update add web.home.internal 60 A 10.59.0.78",
  ];
  expect(await nas.nsupdate(replace, "-v", "-k", nas.keyFile)).toMatchObject({ code: 0 });
  expect(await cam.short("+tcp", "web.home.internal")).toEqual(["10.59.0.78"]);
  // Without a zone it looks for one, by a signed question (dns.md 1.7 F28).
  expect(await nas.nsupdate(["update add api.home.internal 60 TXT found"])).toMatchObject({ code: 0 });
  expect(await cam.short("api.home.internal", "TXT")).toEqual(['"found"']);
  const knot = await nas.knsupdate(["prereq yxrrset web.home.internal. A", "add web.home.internal. 60 AAAA fd00::78"]);
  expect(knot).toMatchObject({ code: 0 });
  expect(await cam.short("web.home.internal", "AAAA")).toEqual(["fd00::78"]);
  const refused = await nas.knsupdate(
    ["prereq nxrrset web.home.internal. A", "add web.home.internal. 60 A 10.59.0.79"],
    "-v",
  );
  expect(refused).toMatchObject({ code: 1, text: expect.stringContaining("YXRRSET") });
  expect(await nas.knsupdate(["del web.home.internal."], "-v")).toMatchObject({ code: 0 });
  expect((await cam.dig("web.home.internal")).text).toContain("status: NXDOMAIN");
}

async function otherDevices(nas: Client, cam: Client, box: Client): Promise<void> {
  expect(await nas.nsupdate(["zone home.internal", "update add mine.home.internal 60 A 10.59.0.9"])).toMatchObject({
    code: 0,
  });
  for (const how of [[], ["-v", "-k", cam.keyFile]]) {
    const said = await cam.nsupdate(["zone home.internal", "update delete mine.home.internal"], ...how);
    // An answer that is not signed would be "expected a TSIG".
    expect(said).toMatchObject({ code: 2, text: expect.stringContaining("REFUSED") });
    expect(said.text).not.toMatch(/tsig|NOTAUTH/i);
  }
  expect(await cam.short("mine.home.internal")).toEqual(["10.59.0.9"]);
  expect((await nas.run("nsupdate", ...(await plain(nas)))).text).toContain("REFUSED");
  // Somebody else's subnet: its resolver tells nothing, not even what is not there.
  for (const name of ["mine.home.internal", "nas.home.internal", "none.home.internal"]) {
    const said = await box.run("dig", "-b", box.address, `@${nas.server}`, "+tries=1", "+time=3", name);
    expect(said.text).toContain("status: REFUSED");
    expect((await box.dig(name)).text).not.toContain("10.59.");
  }
}

/** Without a key. */
async function plain(client: Client): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-dns-"));
  const file = join(folder, "u");
  writeFileSync(
    file,
    `server ${client.server}\nzone ${client.zone}\nupdate add x.${client.zone} 60 A 10.0.0.1\nsend\n`,
  );
  return [file];
}

async function badSignatures(nas: Client, cam: Client): Promise<void> {
  const add = ["zone home.internal", "update add bad.home.internal 60 A 10.59.0.9"];
  const another = Buffer.alloc(32, 7).toString("base64");
  expect((await nas.nsupdate(add, "-y", `hmac-sha256:nas.home.internal:${another}`)).text).toContain("NOTAUTH(BADSIG)");
  expect((await nas.nsupdate(add, "-y", `hmac-sha256:other.home.internal:${another}`)).text).toContain(
    "NOTAUTH(BADKEY)",
  );
  expect((await cam.nsupdate(add, "-k", nas.keyFile)).text).toContain("NOTAUTH(BADKEY)");
  const [zone = "", secret = ""] = nas.keyLine.split(":").slice(1);
  expect((await nas.dig("-y", `hmac-sha256:${zone}:${secret}`, "nas.home.internal")).text).toContain("status: NOERROR");
  expect((await nas.dig("-y", `hmac-sha256:${zone}:${another}`, "nas.home.internal")).text).toContain("BADSIG");
  // Not dig: its allocator and faketime wait for each other.
  const late = await nas.run(
    "faketime",
    "-f",
    "-400s",
    "kdig",
    `@${nas.server}`,
    "+retry=0",
    "-y",
    nas.keyLine,
    "nas.home.internal",
  );
  expect(late.text).toContain("BADTIME");
  expect((await cam.dig("bad.home.internal")).text).toContain("status: NXDOMAIN");
}

async function startos(lab: Lab, nas: Client, cam: Client): Promise<void> {
  const name = "photos.example.com";
  const send = async (): Promise<void> => {
    for (const line of [`update delete ${name} A`, `update add ${name} 300 A ${nas.address}`]) {
      expect(await nas.nsupdate(["zone example.com", line], "-k", nas.startosKeyFile)).toMatchObject({ code: 0 });
    }
  };
  await send();
  expect(await cam.short(name)).toEqual([nas.address]);
  void lab;
}

async function transfer(nas: Client): Promise<void> {
  expect((await nas.dig("home.internal", "AXFR")).text).toContain("Transfer failed");
  const whole = await nas.dig("-k", nas.keyFile, "home.internal", "AXFR");
  expect(whole.text).toMatch(/mine\.home\.internal\.\s+60\s+IN\s+A\s+10\.59\.0\.9/);
  expect(whole.text).not.toMatch(/tsig verify failure/i);
}
