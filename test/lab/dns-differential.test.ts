import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { DENIED, type Exchange, type How, fixedExchanges, ZONE } from "./dns-differential-exchanges.ts";
import { generatedExchanges } from "./dns-differential-generated.ts";
import { DIFFERENCES, type ListedDifference } from "./dns-differential-list.ts";
import { startKnot, startNamed } from "./dns-differential-peers.ts";
import { type Difference, differencesOf, type Reading, readingOf } from "./dns-differential-reading.ts";
import { type Asked, keyOf, type SharedKey, signed } from "./dns-differential-signing.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import type { Host } from "./topology.mjs";

const PROGRAM = fileURLToPath(new URL("programs/exchange-list.mjs", import.meta.url));
const USUAL_SEED = 20_261_125;
const SEED = Number(process.env["DNS_SEED"] ?? USUAL_SEED);
const EXCHANGES = [...fixedExchanges(), ...generatedExchanges(SEED, 200)];
/** One device asks for all of it as fast as it can: what is compared is not the limits. */
const UNLIMITED = { requestsPerSecond: 10_000, eventsPerMinute: 10_000, eventBurst: 10_000 };
/** A journal that is written to a busy disk takes its time, and an update that is sent twice is made twice. */
const PATIENT_MS = [8000];
const SILENCE_MS = [300, 700];

test("there are at least 500 exchanges, a half of them updates, each with bytes of its own", () => {
  expect(EXCHANGES.length).toBeGreaterThanOrEqual(500);
  const replays = EXCHANGES.filter(({ id }) => id === "T19/again");
  const different = new Set(EXCHANGES.map(({ bytes }) => Buffer.from(bytes).toString("hex")));
  expect([replays.length, different.size]).toEqual([1, EXCHANGES.length - 1]);
});

scenario(
  `answers updates and queries as named and knotd do, but for the differences that are listed (DNS_SEED=${SEED})`,
  {
    needs: ["named", "knotd", "dig"],
    clients: 3,
    config: {
      lan: [{ interface: "lan0", dns: true }],
      dns: { protectedNames: [DENIED] },
      portControl: { perDevice: UNLIMITED },
    },
    timeoutMs: 120_000,
  },
  async (lab) => {
    const [client, second, third] = lab.topology.clients as [Host, Host, Host];
    await done(lab, "device", "add", "nas", "--kind", "server", "--lan", "lan0", "--ip", client.address);
    const key = await lab.gateway.json<SharedKey>("device", "key", "nas", "--dns");
    const [named, knotd] = [startNamed(second, lab.server, key), startKnot(third, lab.server, key)];
    try {
      const servers = [lab.server, named.address, knotd.address];
      for (const server of servers) await ready(client, server);
      const asked = sign(key);
      const [ours = [], byNamed = [], byKnot = []] = await Promise.all(
        servers.map(async (server) => {
          const replies = await askAll(client, server, asked);
          return [...replies, await transferred(client, server, key)];
        }),
      );
      judge(asked, key, { ours, named: byNamed, knotd: byKnot });
      expect(ours.at(-1), "the zone in the end").toContain(`g0.${ZONE}.`);
      expect({ named: byNamed.at(-1), knotd: byKnot.at(-1) }).toEqual({ named: ours.at(-1), knotd: ours.at(-1) });
    } finally {
      await Promise.all([named.close(), knotd.close()]);
    }
  },
);

async function done(lab: Lab, ...args: string[]): Promise<void> {
  const said = await lab.gateway.cli(...args);
  expect(said, said.stderr).toMatchObject({ code: 0 });
}

async function ready(client: Host, server: string): Promise<void> {
  await eventually(async () => {
    const said = await client.exec("dig", `@${server}`, "+short", "+tries=1", "+time=1", ZONE, "NS");
    expect(said).toBe(`ns.${ZONE}.\n`);
  }, 15_000);
}

interface Signed extends Asked {
  readonly exchange: Exchange;
}

function sign(shared: SharedKey): Signed[] {
  const now = Math.floor(Date.now() / 1000);
  const key = keyOf(shared);
  return EXCHANGES.map((exchange) => ({ exchange, ...signed(exchange, key, now) }));
}

/** Replies in hex, in the order of the exchanges; null where nothing came. */
async function askAll(client: Host, server: string, asked: readonly Signed[]): Promise<(string | null)[]> {
  const some = async (how: How): Promise<(string | null)[]> => {
    const child = client.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    const requests = asked
      .filter(({ exchange }) => exchange.how === how)
      .map(({ bytes }) => Buffer.from(bytes).toString("hex"));
    const waitsMs = how === "silent" ? SILENCE_MS : PATIENT_MS;
    child.stdin?.end(JSON.stringify({ server, port: 53, requests, waitsMs, tcp: how === "tcp" }));
    if (child.stdout === null) throw new Error("the program has no output");
    return JSON.parse(await text(child.stdout));
  };
  const replies = { udp: await some("udp"), silent: await some("silent"), tcp: await some("tcp") };
  return asked.map(({ exchange }) => replies[exchange.how].shift() ?? null);
}

/** Without SOA, whose serial is each server's own, and without TTLs, which are compared in the answers. */
async function transferred(client: Host, server: string, { keyName, secret }: SharedKey): Promise<string> {
  const how = ["+noall", "+answer", "+time=5", "+tries=1", "-y", `hmac-sha256:${keyName}:${secret}`];
  const said = await client.exec("dig", `@${server}`, ...how, ZONE, "AXFR");
  expect(said, "T6: each message's signature").not.toMatch(/verif/i);
  const lines = said.split("\n").map((line) => line.split(/\s+/));
  return lines
    .filter(([, , , type]) => type !== undefined && type !== "SOA")
    .map(([name, , , ...rest]) => [name, ...rest].join(" ").toLowerCase())
    .sort()
    .join("\n");
}

interface Replies {
  readonly ours: readonly (string | null)[];
  readonly named: readonly (string | null)[];
  readonly knotd: readonly (string | null)[];
}

function judge(asked: readonly Signed[], shared: SharedKey, replies: Replies): void {
  const key = keyOf(shared);
  const now = Math.floor(Date.now() / 1000);
  const found = asked.flatMap(({ exchange, ...request }, index) => {
    const read = (from: readonly (string | null)[]): Reading => readingOf(from[index] ?? null, request, key, now);
    const ours = read(replies.ours);
    return (["named", "knotd"] as const).flatMap((peer) => differencesOf(exchange.id, peer, ours, read(replies[peer])));
  });
  // Servers that all say nothing are alike, and nothing was compared.
  for (const all of [replies.ours, replies.named, replies.knotd])
    expect(all.filter((reply) => reply !== null).length).toBeGreaterThan(490);
  const unlisted = found.filter((each) => !DIFFERENCES.some((listed) => explains(listed, each)));
  expect(unlisted.map(lineOf), "differences that the list does not explain").toEqual([]);
  expect(stale(found), "listed differences that are none any more").toEqual([]);
}

const lineOf = ({ exchange, peer, field, ours, theirs }: Difference): string =>
  `${exchange} ${peer} ${field}: ours ${ours}, theirs ${theirs}`;

function explains(listed: ListedDifference, found: Difference): boolean {
  return (
    listed.peer === found.peer &&
    listed.field === found.field &&
    isMeant(listed.ours, found.ours) &&
    isMeant(listed.theirs, found.theirs) &&
    listed.on.some((pattern) => isMeant(pattern, found.exchange))
  );
}

/** A star at the end is for anything. */
const isMeant = (pattern: string, what: string): boolean =>
  pattern.endsWith("*") ? what.startsWith(pattern.slice(0, -1)) : what === pattern;

function stale(found: readonly Difference[]): string[] {
  return DIFFERENCES.flatMap((listed) =>
    listed.on
      // What another seed makes need not show everything; the fixed ones do.
      .filter((pattern) => SEED === USUAL_SEED || !pattern.startsWith("gen-"))
      .filter((pattern) => !found.some((each) => explains({ ...listed, on: [pattern] }, each)))
      .map((pattern) => `${pattern} ${listed.peer} ${listed.field}: ${listed.reason}`),
  );
}
