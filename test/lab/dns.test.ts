import { execFile } from "node:child_process";
import { createHmac, hkdfSync } from "node:crypto";
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
  readonly psk: Buffer;
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
    this.psk = Buffer.from(/^PresharedKey = (.+)$/m.exec(config)?.[1] ?? "", "base64");
    const keyName = parseName(`${name}.${zone}`);
    const [own, startos] = [keyName === null ? null : deviceKeyOf(this.psk, keyName), updateKeyOf(this.psk)];
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

/**
 * The two messages of StartOS, octet by octet as it sends them and without our codec: the name compressed against the zone,
 * which is the name's parent, and a MAC of the key of all StartOS devices.
 */
function startosMessage(client: Client, change: string, timeSigned: number): string {
  const id = "5a17";
  const zone = "076578616d706c6503636f6d0000060001";
  const body = `${zone}0670686f746f73c00c${change}`;
  const keyName = "1273746172746f732d646e732d75706461746500";
  const algorithm = "0b686d61632d73686132353600";
  const time = `${timeSigned.toString(16).padStart(12, "0")}012c`;
  const signed = `${id}28000001000000010000${body}${keyName}00ff00000000${algorithm}${time}00000000`;
  const key = hkdfSync("sha256", client.psk, new Uint8Array(), "startos-dns-update-v1", 32);
  const mac = createHmac("sha256", Buffer.from(key)).update(Buffer.from(signed, "hex")).digest("hex");
  const data = `${algorithm}${time}0020${mac}${id}00000000`;
  const length = (data.length / 2).toString(16).padStart(4, "0");
  return `${id}28000001000000010001${body}${keyName}00fa00ff00000000${length}${data}`;
}

const ASK = `
  const socket = require("node:dgram").createSocket("udp4");
  const [server, hex, from] = process.argv.slice(1);
  socket.on("message", (bytes) => { process.stdout.write(bytes.toString("hex")); socket.close(); });
  socket.bind(0, from, () => socket.send(Buffer.from(hex, "hex"), 53, server));
  setTimeout(() => process.exit(1), 5000).unref();`;

async function startos(lab: Lab, nas: Client, cam: Client): Promise<void> {
  const name = "photos.example.com";
  const address = nas.address
    .split(".")
    .map((each) => Number(each).toString(16).padStart(2, "0"))
    .join("");
  const now = Math.floor(Date.now() / 1000);
  /** The rcode, and the octets of the question, of each answer. */
  const send = async (timeSigned: number): Promise<void> => {
    for (const change of ["000100ff000000000000", `000100010000012c0004${address}`]) {
      const said = await nas.run(
        process.execPath,
        "-e",
        ASK,
        nas.server,
        startosMessage(nas, change, timeSigned),
        nas.address,
      );
      expect(said.text.slice(0, 8)).toBe("5a17a800");
    }
  };
  const first = await lab.gateway.headSeq();
  await send(now);
  expect(await cam.short(name)).toEqual([nas.address]);
  const before = await lab.gateway.headSeq();
  const heard = (await lab.gateway.eventsAfter(first)).filter(({ source }) => source === `dns:${nas.address}`);
  expect(heard.map(({ type }) => type)).toEqual(["dns.updated"]);
  await send(now + 180);
  expect(await cam.short(name)).toEqual([nas.address]);
  // What comes of its own, of the network, may come at any time.
  const said = (await lab.gateway.eventsAfter(before)).filter(({ source }) => source === `dns:${nas.address}`);
  expect(said).toEqual([]);
  const asked = await lab.gateway.json<{ decision: string; zone: string }>("dns", "ask", name);
  expect(asked).toMatchObject({ decision: "zone", zone: name, answers: [{ value: nas.address }] });
}

async function transfer(nas: Client): Promise<void> {
  expect((await nas.dig("home.internal", "AXFR")).text).toContain("Transfer failed");
  const whole = await nas.dig("-k", nas.keyFile, "home.internal", "AXFR");
  expect(whole.text).toMatch(/mine\.home\.internal\.\s+60\s+IN\s+A\s+10\.59\.0\.9/);
  expect(whole.text).not.toMatch(/tsig verify failure/i);
}

const lanOptions = () => ({
  needs: ["dig", "nsupdate"],
  config: { lan: [{ interface: "lan0", dns: true, dnsUpdates: "own-address" }], dns: { queryLog: true } },
});

interface StatusJson {
  readonly warnings: readonly string[];
}

const HOLDER = `
  const socket = require("node:dgram").createSocket("udp4");
  socket.bind(53, process.argv[1], () => console.log("bound"));`;

describe("[D1] a LAN with dns: true", () => {
  scenario(
    "has a resolver, whoever else had the port before, and whatever becomes of its thread",
    lanOptions(),
    async (lab) => {
      const { server } = lab;
      const [client] = lab.topology.clients;
      if (client === undefined) throw new Error("no client");
      const dig = (...args: string[]): Promise<string> =>
        client.exec("dig", `@${server}`, "+tries=1", "+time=2", ...args).catch((cause: Error) => cause.message);
      await done(lab, "device", "add", "printer", "--kind", "server", "--lan", "lan0", "--ip", client.address);
      await eventually(async () => expect(await dig("+short", "printer.lan0.internal")).toBe(`${client.address}\n`));
      expect(await dig("+short", "-x", client.address)).toBe("printer.lan0.internal.\n");
      // Unsigned, of its own address: what such a LAN takes.
      await unsigned(client, server, `update add cups.lan0.internal 300 A ${client.address}`);
      expect(await dig("+short", "cups.lan0.internal")).toBe(`${client.address}\n`);
      await expect(unsigned(client, server, "update add cups.lan0.internal 300 A 192.168.77.99")).rejects.toThrow(
        "REFUSED",
      );
      await eventually(async () => {
        const { queries } = await lab.gateway.json<{ queries: { name: string; from: string }[] }>("dns", "queries");
        expect(queries).toContainEqual(expect.objectContaining({ name: "cups.lan0.internal", from: client.address }));
      });
      // Another program on port 53.
      await lab.gateway.stop();
      const holder = lab.topology.gateway.spawn([process.execPath, "-e", HOLDER, server], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await new Promise((resolve) => holder.stdout?.once("data", resolve));
      await lab.gateway.start();
      const { warnings } = await lab.gateway.json<StatusJson>("status");
      expect(warnings.join("\n")).toMatch(
        /DNS: cannot listen on .* port 53 .*: it is in use by another DNS server, such as dnsmasq.*stop that one/,
      );
      holder.kill("SIGKILL");
      await eventually(async () => expect(await dig("+short", "cups.lan0.internal")).toBe(`${client.address}\n`), 8000);
      // The interface goes and comes back.
      await lab.topology.gateway.exec("ip", "link", "set", "lan0", "down");
      await lab.topology.gateway.exec("ip", "link", "set", "lan0", "up");
      await eventually(
        async () => expect(await dig("+tcp", "+short", "cups.lan0.internal")).toBe(`${client.address}\n`),
        8000,
      );
    },
  );
});

async function unsigned(host: Host, server: string, line: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-dns-"));
  const file = join(folder, "u");
  writeFileSync(file, `server ${server}\nzone lan0.internal\n${line}\nsend\n`);
  try {
    await host.exec("nsupdate", file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
