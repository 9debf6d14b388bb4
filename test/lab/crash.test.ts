import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { type Port, runCli } from "./gateway.mjs";
import { type Lab, scenario } from "./lab.ts";
import { startMapLoad } from "./map-load.mjs";
import { addressAfter, WAN_GATEWAY } from "./topology.mjs";

/** The torture harness kills at chosen instants, thousands of times; here it is the real load that it falls into. */
const KILLS = 20;
const CLIENTS = 200;
const ASKED_PER_SECOND = 400;
/** Granted between two kills, on average and at least: a kill of an idle program shows nothing. */
const GRANTED_A_KILL_MIN = 10;
const ECHO_PORT = 7;

/** What the witness file says a client may rely on. */
interface Promised {
  readonly address: string;
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
  readonly externalPort: number;
  readonly lifetime: number;
  readonly sentAt: number;
}

describe("the controller", () => {
  const addresses = Array.from({ length: CLIENTS }, (_, index) => addressAfter("192.168.77.2", index));

  scenario(
    `[E1] [E3] [P1] [P12] [F4] is killed ${KILLS} times at random instants under load, and breaks no promise`,
    { clientAddresses: addresses.slice(1).map((each) => `${each}/24`), timeoutMs: 400_000 },
    async (lab) => {
      const client = lab.client();
      await answerEverywhere(lab);
      // One flow that must never notice.
      await lab.map(client, { protocol: "tcp", internalPort: 3999, suggestedPort: 3999, lifetime: 7200 });
      await lab.internet.openStream("through it all", { host: WAN_GATEWAY, port: 3999 });

      const witness = join(lab.gateway.folder, "witness.ndjson");
      const load = startMapLoad(client.host, {
        server: lab.server,
        addresses,
        protocol: "udp",
        firstInternalPort: 4000,
        firstSuggestedPort: 10_000,
        count: 50_000,
        inFlight: 32,
        lifetime: 7200,
        perSecond: ASKED_PER_SECOND,
        // Clients more eager than any real one: each instant after a start is one under load.
        resendMs: 50,
        resendMaxMs: 100,
        witness,
      });
      for (let kill = 0; kill < KILLS; kill += 1) {
        const wait = 50 + Math.random() * 450;
        await new Promise((resolve) => setTimeout(resolve, wait));
        await lab.gateway.kill();
        const during = await lab.internet.say("through it all", `kill ${kill}`);
        expect(during.payload, "the data plane outlives the controller").toBe(`kill ${kill}`);
        await lab.gateway.start();
      }
      const result = await load.stop();
      expect(result.epochFaults, "epochs a client would take for lost state (RFC 6887 §8.5)").toEqual([]);
      expect(result.refusals).toEqual({});

      const promised = readWitness(witness);
      expect(promised.length, "granted in all").toBeGreaterThan(KILLS * GRANTED_A_KILL_MIN);
      await expectPromisesKept(lab, promised);
      await expectLogWhole(lab);
    },
  );

  scenario("[E1] [P12] is stopped cleanly and started again: the same ports, the same ends", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080] });
    const nonce = "5a".repeat(12);
    const request = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, lifetime: 600, nonce };
    const before = await lab.map(client, request);
    const [portBefore] = await lab.gateway.ports();
    const { code, tookMs } = await lab.gateway.stop();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(5000);
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 }), "while it is stopped").toMatchObject({
      by: "c0",
    });
    await lab.gateway.start();
    const [portAfter] = await lab.gateway.ports();
    expect(portAfter?.id).toBe(portBefore?.id);
    expect(Date.parse(portAfter?.expiresAt ?? "")).toBeGreaterThanOrEqual(
      Date.parse(portBefore?.expiresAt ?? "") - 1000,
    );
    const after = await lab.map(client, request);
    expect(after).toMatchObject({ result: 0, externalPort: before?.externalPort });
    expect(after?.epoch).toBeGreaterThanOrEqual(before?.epoch ?? 0);
  });
});

/** Each UDP port of the client answers as its echo server does. */
async function answerEverywhere(lab: Lab): Promise<void> {
  const client = lab.client();
  await client.listen({ tcp: [3999], udp: [ECHO_PORT] });
  const redirect = `table ip echo {
    chain prerouting { type nat hook prerouting priority -100; udp dport 4000-9999 redirect to :${ECHO_PORT}; }
  }`;
  await client.host.exec("nft", redirect);
}

function readWitness(file: string): Promised[] {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Promised);
}

/** Same external port, an end no earlier than promised, and a payload that crosses. */
async function expectPromisesKept(lab: Lab, promised: readonly Promised[]): Promise<void> {
  const ports = new Map((await lab.gateway.ports()).map((port) => [keyOf(port), port]));
  const broken: unknown[] = [];
  for (const promise of promised) {
    const port: Port | undefined = ports.get(`${promise.address}|udp|${promise.internalPort}`);
    const ends = Date.parse(port?.expiresAt ?? "");
    // The client counts from when it asked: the earliest end it could have been promised.
    const kept =
      port?.external.port === promise.externalPort && ends >= promise.sentAt + promise.lifetime * 1000 - 1000;
    if (!kept) broken.push({ promise, port });
  }
  expect(broken.slice(0, 5), `${broken.length} of ${promised.length} promises broken`).toEqual([]);
  for (let first = 0; first < promised.length; first += 64) {
    await Promise.all(
      promised.slice(first, first + 64).map(async ({ externalPort }) => {
        const answer = await lab.internet.udp({ host: WAN_GATEWAY, port: externalPort, timeoutMs: 5000 });
        expect(answer.by).toBe("c0");
      }),
    );
  }
}

function keyOf(port: Port): string {
  return `${port.internal.address}|${port.protocol}|${port.internal.port}`;
}

/** `events verify` is clean, and a replay of a hot copy gives the hash that the running state has. */
async function expectLogWhole(lab: Lab): Promise<void> {
  const verified = await lab.gateway.cli("events", "verify");
  expect(verified, verified.stderr).toMatchObject({ code: 0 });
  const copy = join(lab.gateway.folder, "copy");
  const state = await lab.gateway.json<{ seq: number; hash: string }>("state", "show");
  cpSync(lab.gateway.dataDir, copy, { recursive: true });
  const replay = await runCli(["replay", "--data-dir", copy, "--to", String(state.seq), "--verify", "--json"]);
  expect(replay, replay.stderr).toMatchObject({ code: 0 });
  const replayed = JSON.parse(replay.stdout) as { seq: number; hash: string };
  expect(replayed).toMatchObject({ seq: state.seq, hash: state.hash });
}
