import { describe, expect } from "vitest";
import { memoryOf } from "../../bench/process-memory.mjs";
import type { Agent } from "./agent.mjs";
import { startFlood, type Flood } from "./flood.mjs";
import { type Lab, scenario } from "./lab.ts";
import { type LoadResult, startMapLoad } from "./map-load.mjs";

const SECONDS = 10;
/** Beyond the idle process: the mappings that 252 devices may make in that time, and the garbage of a busy heap. */
const PSS_GROWTH_MAX_MB = 250;

/** Asks for the scan at the end as well, so not the one at its quota. */
const goodClient = (lab: Lab): Agent => lab.client(0);
const flooder = (lab: Lab): Agent => lab.client(1);

/** Makes 100 mappings, then renews them, 20 requests a second. `resendMs`: RFC 6887 §8.1.1 or RFC 6886 §3.1. */
function startGoodClient(lab: Lab, resendMs: number): Promise<LoadResult> {
  const pace = { perSecond: 20, renewals: (SECONDS - 6) * 1000, resendMs, resendMaxMs: 8000 };
  return startMapLoad(goodClient(lab).host, { ...goodLoad(lab), ...pace }).done;
}

/** A gateway that has been in use: what is hot is compiled. */
async function warmUp(lab: Lab): Promise<void> {
  await startMapLoad(goodClient(lab).host, { ...goodLoad(lab), protocol: "tcp", release: true }).done;
}

function goodLoad(lab: Lab) {
  const numbers = { firstInternalPort: 4000, firstSuggestedPort: 5400, count: 100, inFlight: 4, lifetime: 7200 };
  return { server: lab.server, addresses: [goodClient(lab).address], protocol: "udp" as const, ...numbers };
}

interface Outcome {
  readonly good: LoadResult;
  /** Records of the log that the flood took, those of the good client's mappings not counted. */
  readonly records: number;
}

/** The good client's figures while `flood` comes from the other; they are printed. */
async function under(lab: Lab, flood: Omit<Flood, "seconds">, resendMs = 3000): Promise<Outcome> {
  await warmUp(lab);
  const idle = memoryOf(lab.gateway.pid).pssMb;
  const before = await headOf(lab);
  const { done } = await startFlood(flooder(lab).host, lab.topology.gateway, lab.server, {
    seconds: SECONDS,
    ...flood,
  });
  const good = await startGoodClient(lab, resendMs);
  const { sent, seconds } = await done;
  const { pssMb } = memoryOf(lab.gateway.pid);
  const figures = [good.mapping, good.renewing].map((phase) => {
    return phase === null
      ? ""
      : `${phase.answered} answered, p50 ${phase.p50.toFixed(1)}, p99 ${phase.p99.toFixed(1)} ms`;
  });
  const memory = `PSS ${idle.toFixed(0)} → ${pssMb.toFixed(0)} MB`;
  console.log(`${(sent / seconds).toFixed(0)} datagrams/s; ${figures.join("; ")}; ${good.resent} resent; ${memory}`);
  expect(sent, "the flood was one").toBeGreaterThan(flood.perSecond * SECONDS * 0.2);
  expect(good.mapping.answered).toBe(100);
  expect(good.renewing?.answered).toBeGreaterThan(0);
  expect(good.epochFaults).toEqual([]);
  expect(pssMb - idle).toBeLessThan(PSS_GROWTH_MAX_MB);
  return { good, records: (await headOf(lab)) - before - 100 };
}

async function headOf(lab: Lab): Promise<number> {
  const { seq } = await lab.gateway.json<{ seq: number }>("status");
  return seq;
}

/** 99 of 100 within a second, the waits of retransmissions included. */
function expectAnsweredInASecond({ mapping, renewing }: LoadResult): void {
  const phases = [mapping, ...(renewing === null ? [] : [renewing])];
  const sum = (figure: "answered" | "late"): number => phases.reduce((total, phase) => total + phase[figure], 0);
  expect(sum("late")).toBeLessThanOrEqual(sum("answered") / 100);
}

async function refusalsOf(lab: Lab, address: string): Promise<ReadonlySet<string | null>> {
  const requests = await lab.gateway.json<{ from: string; code: string | null }[]>("request", "list");
  return new Set(requests.filter(({ from }) => from === address).map(({ code }) => code));
}

/** Everyone on the segment but the gateway and who broadcasts to it. */
const everyone = Array.from({ length: 252 }, (_, index) => `192.168.77.${index + 2}`);
const options = { clients: 2, timeoutMs: 90_000, config: { log: { level: "warn" } } };
/** contracts: eventBurst 512, and 20 a minute while it lasts; a change may be two records. */
const EVENTS_OF_A_DEVICE = 512 + 20;

describe("under fire", () => {
  scenario(
    "F33 malformed datagrams, as fast as one host can send, cost a good client nothing",
    options,
    async (lab) => {
      const sources = [flooder(lab).address];
      const { good, records } = await under(lab, { payload: "malformed", perSecond: 100_000, sources });
      expect(good.refusals).toEqual({});
      expectAnsweredInASecond(good);
      expect(records).toBe(0);
    },
  );

  scenario("F34 valid requests beyond all measure from one device end at its quota", options, async (lab) => {
    const sources = [flooder(lab).address];
    const { good, records } = await under(lab, { payload: "map", perSecond: 10_000, sources });
    expect(good.refusals).toEqual({});
    expectAnsweredInASecond(good);
    expect(records).toBeLessThanOrEqual(EVENTS_OF_A_DEVICE);
    const held = (await lab.gateway.ports()).filter(({ internal }) => internal.address === flooder(lab).address);
    expect(held).toHaveLength(256);
    expect(await refusalsOf(lab, flooder(lab).address)).toContain("QUOTA_EXCEEDED");
  });

  scenario("F34 NAT-PMP likewise", options, async (lab) => {
    const sources = [flooder(lab).address];
    const { good, records } = await under(lab, { payload: "natpmp", perSecond: 10_000, sources }, 250);
    expect(good.refusals).toEqual({});
    expectAnsweredInASecond(good);
    expect(records).toBeLessThanOrEqual(EVENTS_OF_A_DEVICE);
  });

  scenario("F33 valid requests from every address of the segment leave room for who has one", options, async (lab) => {
    // A hundred times what the guard lets through; more would only take the machine from the gateway.
    const { good } = await under(lab, { payload: "map", perSecond: 20_000, sources: everyone });
    expect(good.refusals).toEqual({});
    expectAnsweredInASecond(good);
  });

  scenario("F33 a device whose address another station borrows is heard", options, async (lab) => {
    const sources = [goodClient(lab).address];
    const { good } = await under(lab, { payload: "malformed", perSecond: 10_000, sources });
    expect(good.refusals).toEqual({});
    expectAnsweredInASecond(good);
  });

  scenario(
    "F33 link-layer addresses invented as well do not stop the gateway or fill its memory",
    options,
    async (lab) => {
      const flood: Omit<Flood, "seconds"> = {
        payload: "map",
        perSecond: 20_000,
        sources: everyone,
        inventStations: true,
      };
      // Nothing tells the good client from the crowd, so it may be late; when the flood ends all is as before.
      await under(lab, flood, 250);
      const client = goodClient(lab);
      const reply = await lab.map(client, { protocol: "udp", internalPort: 4000, lifetime: 7200 });
      expect(reply).not.toBeNull();
    },
  );
});
