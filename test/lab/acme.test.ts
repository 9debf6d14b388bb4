import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { makeAuthority, makeLeaf } from "../../src/api/tls/certificate.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { PROGRAM } from "./gateway.mjs";
import type { Host } from "./topology.mjs";
import { TunnelPeer, tunnelName } from "./tunnel.ts";

const NEEDS = ["wg", "wg-quick", "wireguard-go", "dig", "nsupdate", "dnsmasq", "lego", "pebble", "curl", "openssl"];
/** Where the internet's resolver is. */
const UPSTREAM = "11.22.33.3";
/** It waits for nothing and loses no request on purpose: what is tested is not its patience. */
const PEBBLE_ENV = { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", PEBBLE_AUTHZREUSE: "0" };
/** lego waits a minute between two proofs of one name, for resolvers that remember; the one here does not. */
const LEGO_ENV = { RFC2136_SEQUENCE_INTERVAL: "1", RFC2136_POLLING_INTERVAL: "1" };

/** The README's commands for certificates, as a person types them: on the gateway, and on the device. */
function readmeCommands(): { onGateway: string; onDevice: string } {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const [, section = ""] = readme.split("\n### Certificates\n");
  const [, onGateway, onDevice] = /```console\n\$ ([\s\S]*?)```[\s\S]*?```sh\n([\s\S]*?)```/.exec(section) ?? [];
  if (onGateway === undefined || onDevice === undefined) throw new Error("the README has no commands for certificates");
  return { onGateway, onDevice };
}

/** A device whose resolver is the gateway, and a folder that it works in. */
class Device {
  readonly host: Host;
  readonly peer: TunnelPeer;
  readonly folder: string;

  constructor(host: Host, peer: TunnelPeer, resolver: string) {
    [this.host, this.peer] = [host, peer];
    this.folder = mkdtempSync(join(tmpdir(), "portreeve-acme-"));
    writeFileSync(join(this.folder, "resolv.conf"), `nameserver ${resolver}\n`);
  }

  /** A shell script there. `ip netns exec` gives it mounts of its own, so that its resolver is nobody else's. */
  sh(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const all = `mount --bind resolv.conf /etc/resolv.conf && { ${script}\n}`;
    const options = { cwd: this.folder, env: { ...process.env, ...env }, timeout: 60_000 };
    return new Promise((resolve, reject) => {
      execFile("ip", ["netns", "exec", this.host.namespace, "sh", "-ec", all], options, (error, stdout, stderr) => {
        if (error === null) resolve(`${stdout}${stderr}`);
        else reject(new Error(`${script}\n${stdout}${stderr}`));
      });
    });
  }

  async close(): Promise<void> {
    await this.peer.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function done(lab: Lab, ...args: string[]): Promise<void> {
  const said = await lab.gateway.cli(...args);
  expect(said, said.stderr).toMatchObject({ code: 0 });
}

async function deviceOf(lab: Lab, index: number, name: string, resolver: string): Promise<Device> {
  const host = lab.topology.peers[index];
  if (host === undefined) throw new Error("the lab has too few peers");
  return new Device(host, await TunnelPeer.up(host, lab.gateway, name), resolver);
}

describe("[D5] certificates by ACME", () => {
  scenario(
    "are obtained by lego from pebble, which both ask the gateway for names, with the README's commands",
    {
      needs: NEEDS,
      peers: 2,
      timeoutMs: 120_000,
      config: {
        lan: [{ interface: "lan0" }],
        wireguard: { interface: tunnelName() },
        dns: { queryLog: true, upstreams: [UPSTREAM] },
      },
    },
    async (lab) => {
      await lab.topology.internet.exec("ip", "address", "add", `${UPSTREAM}/24`, "dev", "wan0");
      lab.topology.internet.spawn([
        "dnsmasq",
        "--keep-in-foreground",
        ..."--no-resolv --no-hosts --bind-interfaces --user=root --pid-file --local=/com/".split(" "),
        `--listen-address=${UPSTREAM}`,
      ]);
      await done(lab, "device", "add", "nas", "--kind", "server");
      await done(lab, "device", "add", "ca", "--kind", "server");
      const [home] = await lab.gateway.json<{ gateway: string }[]>("subnet", "list");
      const resolver = home?.gateway ?? "";
      const nas = await deviceOf(lab, 0, "nas", resolver);
      const ca = await deviceOf(lab, 1, "ca", resolver);
      try {
        const authority = await Pebble.up(ca, nas, resolver);
        await asTheReadmeSays(lab, nas, ca, authority);
        await asCertbotDoes(lab, nas, ca, authority);
      } finally {
        await nas.close();
        await ca.close();
      }
    },
  );
});

/**
 * An authority is some way off: what it is sent takes a while. lego asks at once how its proof went, and if that is before
 * the authority has looked, not again for five seconds.
 */
const RELAY = `
  const net = require("node:net");
  net.createServer((client) => {
    const server = net.connect(14000, "127.0.0.1");
    client.on("data", (bytes) => setTimeout(() => server.write(bytes), 50));
    client.on("close", () => server.destroy()).on("error", () => server.destroy());
    server.on("error", () => client.destroy()).pipe(client);
  }).listen(443, process.argv[1]);`;

class Pebble {
  /** Of what it issues. */
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** On the device `ca`, which is `ca.home.internal` by itself; `trusting` gets what its HTTPS is checked by. */
  static async up(ca: Device, trusting: Device, resolver: string): Promise<Pebble> {
    const authority = makeAuthority("Lab", Date.now());
    const leaf = makeLeaf(authority, ["ca.home.internal"], Date.now());
    const file = (name: string): string => join(ca.folder, name);
    writeFileSync(file("key.pem"), leaf.key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    writeFileSync(file("cert.pem"), leaf.certificate);
    writeFileSync(join(trusting.folder, "ca.pem"), authority.certificate);
    const pebble = {
      listenAddress: "127.0.0.1:14000",
      managementListenAddress: `${ca.peer.address}:15000`,
      certificate: file("cert.pem"),
      privateKey: file("key.pem"),
      httpPort: 5002,
      tlsPort: 5001,
    };
    writeFileSync(file("pebble.json"), JSON.stringify({ pebble }));
    ca.host.spawn([process.execPath, "-e", RELAY, ca.peer.address], { stdio: ["ignore", "ignore", "inherit"] });
    ca.host.spawn(["pebble", "-config", file("pebble.json"), "-dnsserver", `${resolver}:53`], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, ...PEBBLE_ENV },
    });
    const root = await eventually(
      () => trusting.sh("curl --silent --fail --cacert ca.pem https://ca.home.internal:15000/roots/0"),
      10_000,
    );
    return new Pebble(root);
  }
}

/** Two names of it, the second for all below; what lego made of them verifies. */
async function expectCertificate(nas: Device, name: string, { root }: Pebble): Promise<void> {
  writeFileSync(join(nas.folder, "root.pem"), root);
  const file = `.lego/certificates/${name}`;
  const verified = await nas.sh(`openssl verify -CAfile root.pem -untrusted ${file}.issuer.crt ${file}.crt`);
  expect(verified).toContain(`${name}.crt: OK`);
  const names = await nas.sh(`openssl x509 -in ${file}.crt -noout -ext subjectAltName`);
  for (const each of [name, `*.${name}`]) expect(names).toContain(`DNS:${each}`);
}

interface Updated {
  readonly added?: readonly { readonly id: string; readonly name: string; readonly type: string }[];
  readonly removed?: readonly string[];
}

/** What became of a name, as the log has it: "added" and "removed", one for each record. */
async function historyOf(lab: Lab, name: string): Promise<string[]> {
  const records = await lab.gateway.json<{ type: string; data: Updated }[]>("events", "list", "--limit", "50");
  const ids = new Set<string>();
  return records.flatMap(({ type, data: { added = [], removed = [] } }) => {
    if (type !== "dns.updated") return [];
    const here = added.filter((each) => each.name === name && each.type === "TXT");
    for (const { id } of here) ids.add(id);
    return [...removed.filter((id) => ids.has(id)).map(() => "removed"), ...here.map(() => "added")];
  });
}

/** The authority has looked for it at the gateway, and it is gone. */
async function expectSeenAndGone(lab: Lab, nas: Device, ca: Device, name: string): Promise<void> {
  const { queries } = await lab.gateway.json<{ queries: object[] }>("dns", "queries");
  expect(queries).toContainEqual(
    expect.objectContaining({ from: ca.peer.address, name, type: "TXT", rcode: "NOERROR" }),
  );
  expect(await nas.sh(`dig +short ${name} TXT`)).toBe("");
  const records = await lab.gateway.json<{ name: string }[]>("dns", "list");
  expect(records.filter((each) => each.name === name)).toEqual([]);
}

async function asTheReadmeSays(lab: Lab, nas: Device, ca: Device, pebble: Pebble): Promise<void> {
  const { onGateway, onDevice } = readmeCommands();
  const portreeve = `portreeve() { "${process.execPath}" "${PROGRAM}" --socket "${lab.gateway.socket}" "$@"; }`;
  await nas.sh(`${portreeve}\n${onGateway}`);
  await nas.sh(onDevice, LEGO_ENV);
  await expectCertificate(nas, "nas.home.internal", pebble);
  const challenge = "_acme-challenge.nas.home.internal";
  // lego proves one name after the other.
  expect(await historyOf(lab, challenge)).toEqual(["added", "removed", "added", "removed"]);
  await expectSeenAndGone(lab, nas, ca, challenge);
}

/**
 * certbot itself is not run: it brings half of Python. What it does is done here, with its credentials file: it asks for
 * the SOA of one suffix after the other, adds the values of all its names, and takes back each of them.
 */
async function asCertbotDoes(lab: Lab, nas: Device, ca: Device, pebble: Pebble): Promise<void> {
  const { stdout } = await lab.gateway.cli("device", "key", "nas", "--form", "certbot");
  const of = (field: string): string => new RegExp(`^dns_rfc2136_${field} = (.*)$`, "m").exec(stdout)?.[1] ?? "";
  const key = `${of("algorithm").toLowerCase()}:${of("name")}:${of("secret")}`;
  /** `values`: what the shell puts where the line has a %s. */
  const update = (zone: string, line: string, values = ""): string => {
    const script = `server ${of("server")} ${of("port")}\\nzone ${zone}\\nupdate ${line}\\nsend\\n`;
    return `printf '${script}' ${values} | nsupdate -v -y '${key}'`;
  };
  // Outside of all zones of the gateway: a name is a zone once it is published.
  await nas.sh(update("example.com", `add shop.example.com 300 A ${nas.peer.address}`));
  const challenge = "_acme-challenge.shop.example.com";
  const zone = await certbotZone(nas, of("server"), challenge);
  expect(zone).toBe("shop.example.com");
  expect(await certbotZone(nas, of("server"), "_acme-challenge.nas.home.internal")).toBe("home.internal");
  const hook = join(nas.folder, "hook.sh");
  const verb = 'case "$1" in present) verb=add ttl=120 ;; cleanup) verb=delete ttl= ;; esac';
  writeFileSync(hook, `${verb}\n${update(zone ?? "", "%s %s %s TXT %s", '"$verb" "$2" "$ttl" "$3"')}\n`);
  const bridge = nas.host.spawn([process.execPath, "-e", BRIDGE, hook], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => bridge.stdout?.once("data", resolve));
  const lego = "lego --server https://ca.home.internal/dir --accept-tos --email you@example.com --dns httpreq";
  const env = {
    LEGO_CA_CERTIFICATES: "ca.pem",
    HTTPREQ_ENDPOINT: "http://127.0.0.1:8053",
    HTTPREQ_POLLING_INTERVAL: "1",
  };
  await nas.sh(`${lego} --domains shop.example.com --domains '*.shop.example.com' run`, env);
  bridge.kill("SIGKILL");
  await expectCertificate(nas, "shop.example.com", pebble);
  expect(await historyOf(lab, challenge)).toEqual(["added", "added", "removed", "removed"]);
  await expectSeenAndGone(lab, nas, ca, challenge);
}

/** Runs the hook for each request of lego's provider httpreq, which, unlike rfc2136, puts all values before any is asked for. */
const BRIDGE = `
  const { execFileSync } = require("node:child_process");
  const server = require("node:http").createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { fqdn, value } = JSON.parse(body);
    execFileSync("sh", ["-e", process.argv[1], request.url.slice(1), fqdn, value]);
    response.end();
  });
  server.listen(8053, "127.0.0.1", () => console.log("listening"));`;

/** RD is off, and it goes by TCP; a zone is what has a SOA in the answer of an authority for exactly this name. */
async function certbotZone(nas: Device, server: string, name: string): Promise<string | null> {
  const labels = name.split(".");
  for (let index = 0; index < labels.length; index += 1) {
    const guess = labels.slice(index).join(".");
    const said = await nas.sh(`dig @${server} +tcp +norecurse +tries=1 +time=3 ${guess} SOA`);
    const soa = new RegExp(`ANSWER SECTION:\\n${guess.replaceAll(".", "\\.")}\\.\\s+\\d+\\s+IN\\s+SOA\\s`);
    if (said.includes("status: NOERROR") && /flags: [a-z ]*\baa\b/.test(said) && soa.test(said)) return guess;
  }
  return null;
}
