import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tableEntries, tableRows } from "../../../src/lib/table.ts";
import type { PortreeveRecord } from "../../../src/events/index.ts";
import type { Command } from "../../../src/reducers/decide/command.ts";
import { foldInto, replay } from "../../../src/reducers/fold.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import { contentHash, stateFromJson, stateHash, stateToJson } from "../../../src/reducers/state-json.ts";
import { initialState } from "../../../src/reducers/state.ts";
import { Gateway, mapRequest, portAdd, unmapRequest, upnpMap } from "./given.ts";

const device = fc.integer({ min: 2, max: 5 }).map((host) => `192.168.77.${host}`);
const smallPort = fc.integer({ min: 2000, max: 2012 });
const by = fc.constantFrom("pcp" as const, "natpmp" as const);
const nonce = fc.constantFrom("a".repeat(24), "b".repeat(24), "c".repeat(24));

/** One step of a history: a command, or time that passes. */
type Step =
  | { readonly wait: number }
  | { readonly command: Command }
  | { readonly pick: number; readonly verb: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .record({
      by,
      device,
      internalPort: smallPort,
      suggestedPort: smallPort,
      nonce,
      protocol: fc.constantFrom(6, 17),
      lifetime: fc.integer({ min: 1, max: 900 }),
      preferFailure: fc.boolean(),
    })
    .map((fields) => ({ command: mapRequest({ ...fields, nonce: fields.by === "pcp" ? fields.nonce : null }) })),
  fc
    .record({ by, device, internalPort: fc.oneof(smallPort, fc.constant(0)), nonce, protocol: fc.constantFrom(6, 17) })
    .map((fields) => ({ command: unmapRequest({ ...fields, nonce: fields.by === "pcp" ? fields.nonce : null }) })),
  fc
    .record({
      device,
      externalPort: smallPort,
      any: fc.boolean(),
      internalPort: smallPort,
      remoteHost: fc.constantFrom(null, null, "198.51.100.7"),
      enabled: fc.boolean(),
      lifetime: fc.integer({ min: 0, max: 900 }),
    })
    .map((fields) => ({ command: upnpMap(fields) })),
  fc
    .record({ device, externalPort: smallPort, remoteHost: fc.constantFrom(null, null, "198.51.100.7") })
    .map((fields) => ({
      command: { type: "upnpUnmap" as const, interface: "lan0", protocol: "tcp" as const, ...fields },
    })),
  fc
    .record({
      externalPort: smallPort,
      internalPort: smallPort,
      internalAddress: device,
      count: fc.constantFrom(1, 1, 3),
      lifetime: fc.constantFrom(null, 300),
    })
    .map((fields) => ({ command: portAdd(fields) })),
  fc.record({
    pick: fc.nat(),
    verb: fc.constantFrom("port.remove", "port.keep", "port.block", "disable", "enable", "move"),
  }),
  fc.integer({ min: 1, max: 400 }).map((wait) => ({ wait })),
);

function play(gateway: Gateway, steps: readonly Step[]): void {
  for (const each of steps) {
    if ("wait" in each) {
      gateway.later(each.wait).do({ type: "leases.expire" }, "clock");
      gateway.do({ type: "leases.checkpoint" }, "clock");
    } else if ("command" in each) gateway.do(each.command, "pcp:x");
    else {
      const ids = [...tableEntries(gateway.state.mappings)].map(([key]) => key).sort();
      const id = ids[each.pick % Math.max(1, ids.length)] ?? "m0";
      const { verb } = each;
      if (verb === "disable" || verb === "enable") gateway.do({ type: "port.edit", id, enabled: verb === "enable" });
      else if (verb === "move") gateway.do({ type: "port.edit", id, externalPort: 2000 + (each.pick % 12) });
      else gateway.do({ type: verb as "port.remove", id });
    }
  }
}

/** A model that knows nothing of tables: external port → who it goes to, while someone's last word was a grant. */
function model(records: readonly PortreeveRecord[]): string[] {
  const rows = new Map<string, { place: Record<string, unknown>; claims: Set<string> }>();
  for (const { event } of records) {
    if (event.type === "mapping.granted") {
      const { claim, id, ...place } = event.data;
      rows.set(id, { place, claims: new Set([claim.key]) });
    } else if (event.type === "mapping.changed") {
      const { id, ...fields } = event.data;
      Object.assign(rows.get(id)?.place ?? {}, fields);
    } else if (event.type === "lease.granted") rows.get(event.data.mappingId)?.claims.add(event.data.claim.key);
    else if (event.type === "lease.released" || event.type === "lease.expired") {
      const row = rows.get(event.data.mappingId);
      row?.claims.delete(event.data.claimKey);
      if (row?.claims.size === 0) rows.delete(event.data.mappingId);
    }
  }
  const seen = [...rows.entries()].map(([id, { place, claims }]) =>
    [
      id,
      place["protocol"],
      place["externalPort"],
      place["internalAddress"],
      place["internalPort"],
      place["enabled"],
      [...claims].sort(),
    ].join(" "),
  );
  return seen.sort();
}

function summary(gateway: Gateway): string[] {
  return [...tableRows(gateway.state.mappings)]
    .map((row) =>
      [
        row.id,
        row.protocol,
        row.externalPort,
        row.internalAddress,
        row.internalPort,
        row.enabled,
        row.claims.map((claim) => claim.key).sort(),
      ].join(" "),
    )
    .sort();
}

describe("fold", () => {
  const limits = { mappings: 6, ports: 12, requestsPerSecond: 50, eventsPerMinute: 60, eventBurst: 30 };

  it("[E3] any history of decisions keeps the invariants, agrees with an independent model, and replays to the same hash", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("strict" as const, "same-host" as const),
        fc.array(step, { maxLength: 40 }),
        async (rule, steps) => {
          const gateway = new Gateway({ perDevice: limits }, rule);
          play(gateway, steps);
          expect(summary(gateway)).toEqual(model(gateway.records));
          const replayed = await replay(JSON.parse(JSON.stringify(gateway.records)) as PortreeveRecord[]);
          expect(stateHash(replayed)).toBe(stateHash(gateway.state));
          expect(checkInvariants(replayed)).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("[E2] a snapshot anywhere and the tail after it fold to the whole", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30 }), fc.nat(), async (steps, cut) => {
        const gateway = new Gateway({ perDevice: limits }, "same-host");
        play(gateway, steps);
        const at = cut % gateway.records.length;
        const head = await replay(gateway.records.slice(0, at));
        const restored = stateFromJson(JSON.parse(JSON.stringify(stateToJson(head))));
        const whole = await replay(gateway.records.slice(at), restored);
        expect(stateHash(whole)).toBe(stateHash(gateway.state));
      }),
      { numRuns: 50 },
    );
  });

  it("never sees the clock, randomness or the environment", async () => {
    const gateway = new Gateway();
    play(gateway, [{ command: mapRequest() }, { wait: 4000 }, { command: portAdd() }]);
    const real = { now: Date.now, random: Math.random };
    const forbidden = (): never => {
      throw new Error("a reducer looked outside");
    };
    Date.now = forbidden;
    Math.random = forbidden;
    try {
      const state = initialState();
      for (const record of gateway.records) foldInto(state, record);
      expect(stateHash(state)).toBe(stateHash(gateway.state));
    } finally {
      Date.now = real.now;
      Math.random = real.random;
    }
  });

  it("refuses a record out of sequence", () => {
    const gateway = new Gateway();
    const [first] = gateway.records as [PortreeveRecord];
    expect(() => foldInto(initialState(), { ...first, seq: 2 })).toThrow("record 2 after state 0");
  });

  it("the content hash ignores when things happened, and nothing else", () => {
    const [early, late, other] = [new Gateway(), new Gateway(), new Gateway()];
    early.do(portAdd(), "api:socket");
    late.later(86_400).do(portAdd({ label: "x" }), "api:socket");
    other.do(portAdd({ internalPort: 444 }), "api:socket");
    expect(contentHash(early.state)).not.toBe(contentHash(other.state));
    expect(contentHash(early.state)).not.toBe(contentHash(late.state));
    expect(stateHash(early.state)).not.toBe(stateHash(late.state));
  });
});
