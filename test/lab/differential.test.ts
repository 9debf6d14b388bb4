import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startMiniupnpd } from "../../bench/miniupnpd.mjs";
import { EXCHANGES } from "./differential-exchanges.ts";
import { DIFFERENCES } from "./differential-list.ts";
import { type Difference, differencesOf } from "./differential-reading.ts";
import { scenario } from "./lab.ts";
import { createTopology, type Topology } from "./topology.mjs";

const PROGRAM = fileURLToPath(new URL("programs/exchange-list.mjs", import.meta.url));
const PORT = 5351;
/** One device asks for all of it as fast as it can: what is compared is not the limits. */
const UNLIMITED = {
  mappings: 4096,
  ports: 16_384,
  requestsPerSecond: 10_000,
  eventsPerMinute: 10_000,
  eventBurst: 10_000,
};

test("there are 500 exchanges, each with a name of its own", () => {
  expect(new Set(EXCHANGES.map(({ id }) => id)).size).toBe(EXCHANGES.length);
  expect(EXCHANGES.length).toBe(500);
});

scenario(
  "answers 500 requests as miniupnpd does, but for the differences that are listed with their reason",
  { needs: ["miniupnpd"], config: { portControl: { perDevice: UNLIMITED } }, timeoutMs: 300_000 },
  async ({ topology }) => {
    const peerTopology = await createTopology();
    try {
      const peer = await startMiniupnpd(peerTopology, "192.168.77.0/24");
      const [ours, theirs] = await Promise.all([askAll(topology), askAll(peerTopology)]);
      peer.close();
      const found = EXCHANGES.flatMap((exchange, index) =>
        differencesOf(exchange, ours[index] ?? null, theirs[index] ?? null),
      );
      // Servers that both say nothing are alike, and nothing was compared.
      expect(ours.filter((reply) => reply !== null).length).toBeGreaterThan(400);
      expect(theirs.filter((reply) => reply !== null).length).toBeGreaterThan(400);
      expect(unlisted(found), "differences that the list does not explain").toEqual([]);
      expect(stale(found), "listed differences that are none any more").toEqual([]);
    } finally {
      await peerTopology.close();
    }
  },
);

/** Replies in hex; null where nothing came. */
async function askAll(topology: Topology): Promise<(string | null)[]> {
  const [client] = topology.clients;
  if (client === undefined) throw new Error("the topology has no client");
  const child = client.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  const requests = EXCHANGES.map(({ bytes }) => bytes.toString("hex"));
  child.stdin?.end(JSON.stringify({ server: topology.lanGateway, port: PORT, requests }));
  if (child.stdout === null) throw new Error("the program has no output");
  return JSON.parse(await text(child.stdout));
}

const textOf = ({ field, ours, theirs }: Omit<Difference, "exchange">): string =>
  `${field}: ours ${ours}, theirs ${theirs}`;

/** What the list says, a line for each exchange it is about. A pattern that names none stands for itself, and is stale. */
function listed(): string[] {
  return DIFFERENCES.flatMap((difference) =>
    difference.on.flatMap((pattern) => {
      const ids = EXCHANGES.map(({ id }) => id).filter((id) => isMeant(pattern, id));
      return (ids.length === 0 ? [pattern] : ids).map((id) => `${id} ${textOf(difference)}`);
    }),
  );
}

/** A star at the end is for anything. */
const isMeant = (pattern: string, id: string): boolean =>
  pattern.endsWith("*") ? id.startsWith(pattern.slice(0, -1)) : id === pattern;

function unlisted(found: readonly Difference[]): string[] {
  const known = new Set(listed());
  return found.map((each) => `${each.exchange} ${textOf(each)}`).filter((line) => !known.has(line));
}

function stale(found: readonly Difference[]): string[] {
  const seen = new Set(found.map((each) => `${each.exchange} ${textOf(each)}`));
  return listed().filter((line) => !seen.has(line));
}
