import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { hostnameOption } from "./programs/pcp-wire.mjs";
import { makeCertificate, SniBackend } from "./sni-lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const NAMES = ["a.example.org", "b.example.org", "c.example.org"];
const HTTP = "80";
type Item = string;

/** Each item is mapped in this order, asked for anew, and deleted in the other. */
const ORDERS: readonly (readonly [mapped: readonly Item[], deleted: readonly Item[]])[] = [
  [
    [HTTP, ...NAMES],
    [...NAMES, HTTP],
  ],
  [
    ["b.example.org", HTTP, "a.example.org", "c.example.org"],
    [HTTP, "b.example.org", "c.example.org", "a.example.org"],
  ],
  [
    ["c.example.org", "b.example.org", "a.example.org", HTTP],
    ["a.example.org", HTTP, "c.example.org", "b.example.org"],
  ],
];

/** A nonce of its own each, as StartOS has it. */
const nonceOf = (item: Item): string => Buffer.from(item.padEnd(12).slice(0, 12)).toString("hex");

async function ask(lab: Lab, item: Item, lifetime: number): Promise<void> {
  const suggestedPort = item === HTTP ? 80 : 443;
  const options = item === HTTP ? "" : hostnameOption(item);
  const request = {
    protocol: "tcp",
    internalPort: 443,
    suggestedPort,
    lifetime,
    nonce: nonceOf(item),
    options,
  } as const;
  expect(await lab.map(lab.client(), request), item).toMatchObject({ result: 0, lifetime, options });
}

/** What a visitor meets on port 80: the host itself, the way to HTTPS, or nobody. */
async function http(lab: Lab): Promise<string> {
  const curl = ["-sk", "--connect-timeout", "0.5", "--max-time", "5"];
  const direct = ["--resolve", `${NAMES[0]}:80:${WAN_GATEWAY}`];
  const tls = await lab.topology.internet.exec("curl", ...curl, ...direct, `https://${NAMES[0]}:80/`).catch(() => "");
  if (tls !== "") return JSON.parse(tls).name;
  const code = ["-o", "/dev/null", "-w", "%{http_code}"];
  return await lab.topology.internet.exec("curl", ...curl, ...code, ...direct, `http://${NAMES[0]}/`).catch(() => "");
}

/** The certificate that openssl is shown under a name; "" where it is shown none. */
async function certificate(lab: Lab, name: string): Promise<string> {
  const ask = `timeout 5 openssl s_client -connect ${WAN_GATEWAY}:443 -servername ${name} </dev/null 2>/dev/null`;
  const said = await lab.topology.internet.exec("sh", "-c", `${ask} | grep ^subject || true`);
  return said.trim();
}

async function body(lab: Lab, name: string): Promise<string> {
  const resolve = ["--resolve", `${name}:443:${WAN_GATEWAY}`, "--connect-timeout", "0.5", "--max-time", "5"];
  const said = await lab.topology.internet.exec("curl", "-sk", ...resolve, `https://${name}/`).catch(() => "");
  return said === "" ? "" : JSON.parse(said).name;
}

/** By real TLS connections: exactly what is mapped is led, and nothing else. */
async function expectLed(lab: Lab, live: ReadonlySet<Item>, told: string): Promise<void> {
  const named = NAMES.some((name) => live.has(name));
  const checks = NAMES.map(async (name) => {
    const has = live.has(name);
    expect(await body(lab, name), `${told}: ${name}`).toBe(has ? "host0" : "");
    if (named) expect(await certificate(lab, name), `${told}: ${name}`).toBe(has ? "subject=CN = host0" : "");
  });
  await Promise.all(checks);
  // HAProxy starts with the first name and leaves with the last; what is promised is there, and that comes after.
  const left = live.has(HTTP) ? "host0" : named ? "308" : "";
  await eventually(async () => expect(await http(lab), told).toBe(left));
}

/** Records of what is mapped: what the gateway notes of itself meanwhile is its own affair. */
const recordsOf = async ({ gateway }: Lab): Promise<number> =>
  (await gateway.json<unknown[]>("events", "list", "--type", "mapping,lease", "--limit", "1000")).length;

scenario(
  "[P6] StartOS's 80→443 and 443→443 with three names, in several orders: TLS reaches by each name what is mapped, and nothing else closes",
  {
    clients: 1,
    needs: ["haproxy", "curl", "openssl"],
    config: { lan: [{ interface: "lan0", nonce: "same-host" }] },
    timeoutMs: 120_000,
  },
  async (lab) => {
    const folder = mkdtempSync(join(tmpdir(), "portreeve-pair-"));
    makeCertificate(folder, "host0");
    const [host] = lab.topology.clients;
    if (host === undefined) throw new Error("no client");
    const backend = new SniBackend(host, "host0", folder);
    try {
      for (const [mapped, deleted] of ORDERS) {
        const live = new Set<Item>();
        for (const item of mapped) {
          await ask(lab, item, 3600);
          await expectLed(lab, live.add(item), `mapped ${item} of ${mapped.join()}`);
        }
        const before = await recordsOf(lab);
        for (const item of mapped) await ask(lab, item, 3600);
        expect(await recordsOf(lab), "a renewal costs no log").toBe(before);
        for (const item of deleted) {
          await ask(lab, item, 0);
          live.delete(item);
          await expectLed(lab, live, `deleted ${item} of ${deleted.join()}`);
        }
      }
    } finally {
      await backend.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
