import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeAuthority, makeLeaf } from "../../src/api/tls/certificate.ts";
import { eventually } from "./lab.ts";
import { createTopology, findProgram, type Host, missingForLab, type Topology } from "./topology.mjs";

/** Who is who among the internet's resolvers. */
const NAMED = "11.22.33.3";
const DNSMASQ = "11.22.33.4";
const DEAD = "11.22.33.5";
const LIARS = {
  "11.22.33.11": "silent",
  "11.22.33.12": "slow",
  "11.22.33.13": "wrong-id",
  "11.22.33.14": "wrong-name",
  "11.22.33.15": "private",
};
const [SILENT = "", SLOW = "", WRONG_ID = "", WRONG_NAME = "", PRIVATE = ""] = Object.keys(LIARS);
const NAME = "dns.example.net";
const TRUE = "11.22.33.80";

/** Each a view of its own, so that none answers out of another's memory. */
const VIEWS = {
  dead: [DEAD, NAMED],
  silent: [SILENT, DNSMASQ],
  slow: [SLOW],
  "wrong ID": [WRONG_ID],
  "wrong name": [WRONG_NAME],
  "a lie that another corrects": [PRIVATE, NAMED],
  "a lie": [PRIVATE],
  truncated: [NAMED],
  "nobody there": [DEAD, SILENT],
  tls: [`tls://${NAMED}#${NAME}`],
  https: [`https://${NAME}/dns-query#${NAMED}`],
  "another's certificate": [`tls://${NAMED}#other.example.net`],
  "a domain of its own": [DNSMASQ, `[/corp.example/]${NAMED}`],
} as const;
type View = keyof typeof VIEWS;
const portOf = (view: View): number => 5300 + Object.keys(VIEWS).indexOf(view);
const WITHIN_MS = 5000;

const absent = ["named", "dnsmasq", "dig"].find((program) => findProgram(program) === null);
const missing = missingForLab() ?? (absent === undefined ? null : `the program "${absent}" is not installed`);

describe("the DNS forwarder between real and lying resolvers", () => {
  let topology: Topology;
  let folder: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    if (missing !== null) return;
    topology = await createTopology({ clients: 0 });
    folder = await mkdtemp(join(tmpdir(), "portreeve-lab-"));
    for (const address of [NAMED, DNSMASQ, DEAD, ...Object.keys(LIARS)]) {
      await topology.internet.exec("ip", "address", "add", `${address}/24`, "dev", "wan0");
    }
    const authority = makeAuthority("Lab", Date.now());
    await startNamed(topology.internet, folder, authority);
    const options = ["--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root", "--pid-file"];
    children.push(
      topology.internet.spawn([
        "dnsmasq",
        "--keep-in-foreground",
        ...options,
        `--listen-address=${DNSMASQ}`,
        `--address=/example.com/${TRUE}`,
      ]),
    );
    await program(topology.internet, "lying-resolver.mjs", LIARS);
    const views = Object.entries(VIEWS).map(([id, servers]) => ({ id, servers, port: portOf(id as View) }));
    await program(topology.gateway, "forwarder.mjs", { views, authorities: [authority.certificate] });
    // Both are real daemons, which listen when they are ready.
    for (const server of [NAMED, DNSMASQ]) {
      await eventually(async () =>
        expect(
          await topology.gateway.exec("dig", "+short", "+tries=1", "+time=1", `@${server}`, "up.example.com"),
        ).toContain(TRUE),
      );
    }
  });

  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    if (missing !== null) return;
    await topology.close();
    await rm(folder, { recursive: true });
  });

  async function startNamed(host: Host, folder: string, authority: ReturnType<typeof makeAuthority>): Promise<void> {
    const leaf = makeLeaf(authority, [NAME], Date.now());
    await writeFile(join(folder, "key.pem"), leaf.key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    await writeFile(join(folder, "cert.pem"), leaf.certificate);
    const texts = Array.from(
      { length: 40 },
      (_, index) => `big TXT "${String(index).padStart(2, "0")}${"x".repeat(60)}"`,
    );
    const zone = [
      "$TTL 60",
      "@ SOA ns host 1 3600 600 86400 60",
      "@ NS ns",
      `ns A ${NAMED}`,
      `www A ${TRUE}`,
      `up A ${TRUE}`,
      "inner A 10.1.1.1",
      ...texts,
      "",
    ];
    await writeFile(join(folder, "zone"), zone.join("\n"));
    const conf = `
      tls lab { key-file "${folder}/key.pem"; cert-file "${folder}/cert.pem"; };
      http lab { endpoints { "/dns-query"; }; };
      options {
        directory "${folder}"; pid-file "${folder}/named.pid"; session-keyfile "${folder}/session.key";
        listen-on { ${NAMED}; }; listen-on-v6 { none; };
        listen-on port 853 tls lab { ${NAMED}; };
        listen-on port 443 tls lab http lab { ${NAMED}; };
        recursion yes; allow-query { any; }; allow-recursion { any; }; dnssec-validation no;
      };
      controls { };
      zone "example.com" { type primary; file "zone"; };
      zone "corp.example" { type primary; file "zone"; };
    `;
    await writeFile(join(folder, "named.conf"), conf);
    children.push(host.spawn(["named", "-g", "-c", join(folder, "named.conf")]));
  }

  async function program(host: Host, name: string, input: unknown): Promise<void> {
    const file = fileURLToPath(new URL(`programs/${name}`, import.meta.url));
    const child = host.spawn([process.execPath, file, JSON.stringify(input)], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once("data", () => resolve());
      child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
    });
  }

  async function dig(view: View, ...question: string[]): Promise<{ readonly text: string; readonly ms: number }> {
    const started = performance.now();
    const text = await topology.gateway.exec(
      "dig",
      "-p",
      String(portOf(view)),
      "@127.0.0.1",
      "+tries=1",
      "+time=8",
      ...question,
    );
    return { text, ms: performance.now() - started };
  }

  test.for<[string, View]>([
    ["a dead one before a good one", "dead"],
    ["a silent one before a good one", "silent"],
    ["a slow one", "slow"],
    ["a wrong ID before the truth", "wrong ID"],
    ["a wrong name before the truth", "wrong name"],
    ["a private address for a public name, and a good one behind", "a lie that another corrects"],
    ["DNS over TLS (F11)", "tls"],
    ["DNS over HTTPS (F11)", "https"],
  ])("[F7][F16] the true answer within 5 s with %s", async ([, view], { skip }) => {
    if (missing !== null) skip(missing);
    const { text, ms } = await dig(view, "www.example.com");
    expect(text).toContain("status: NOERROR");
    expect(text).toMatch(new RegExp(`^www\\.example\\.com\\.\\s+\\d+\\s+IN\\s+A\\s+${TRUE}$`, "m"));
    expect(text).not.toContain("11.22.33.66");
    expect(ms).toBeLessThan(WITHIN_MS);
  });

  test("[F22] a private address for a public name is withheld, and dig says why", async ({ skip }) => {
    if (missing !== null) skip(missing);
    const { text, ms } = await dig("a lie", "www.example.com");
    expect(text).toContain("status: NXDOMAIN");
    expect(text).toMatch(/EDE: 15 \(Blocked\): \(192\.168\.1\.1 is a private address/);
    expect(ms).toBeLessThan(WITHIN_MS);
  });

  test("[F4][F13] what named cuts off is fetched by TCP; the client is told to do the same and then has it whole", async ({
    skip,
  }) => {
    if (missing !== null) skip(missing);
    const cut = await dig("truncated", "+ignore", "big.example.com", "TXT");
    expect(cut.text).toMatch(/flags: qr tc rd ra/);
    expect(cut.text).toContain("ANSWER: 0");
    const { text } = await dig("truncated", "big.example.com", "TXT");
    expect(text).toContain("ANSWER: 40");
    expect(text).toContain("(TCP)");
  });

  test("[F16] where nobody answers, SERVFAIL within 5 s, then at once", async ({ skip }) => {
    if (missing !== null) skip(missing);
    const first = await dig("nobody there", "www.example.com");
    expect(first.text).toContain("status: SERVFAIL");
    expect(first.text).toMatch(/EDE: 22 .*11\.22\.33\.5: ECONNREFUSED/);
    expect(first.ms).toBeLessThan(WITHIN_MS);
    const second = await dig("nobody there", "www.example.com");
    expect(second.text).toContain("EDE: 13 (Cached Error)");
    expect(second.ms).toBeLessThan(1000);
  });

  test("[F11] a certificate of another name gets no question", async ({ skip }) => {
    if (missing !== null) skip(missing);
    const { text, ms } = await dig("another's certificate", "www.example.com");
    expect(text).toContain("status: SERVFAIL");
    expect(text).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(ms).toBeLessThan(WITHIN_MS);
  });

  test("[F12][F22] a domain with an upstream of its own is asked for there alone, private addresses and all", async ({
    skip,
  }) => {
    if (missing !== null) skip(missing);
    expect((await dig("a domain of its own", "inner.corp.example")).text).toMatch(
      /inner\.corp\.example\.\s.*10\.1\.1\.1/,
    );
    expect((await dig("a domain of its own", "www.example.com")).text).toContain(TRUE);
    expect((await dig("truncated", "inner.example.com")).text).toContain("status: NXDOMAIN");
  });
});
