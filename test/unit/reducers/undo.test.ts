import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PortreeveRecord } from "../../../src/events/index.ts";
import { tableEntries } from "../../../src/lib/table.ts";
import type { Command } from "../../../src/reducers/decide/command.ts";
import type { Change } from "../../../src/reducers/decide/undo.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import { messageOf, OPERATOR, Remembering, rowsOf } from "./remembering.ts";
import { DEVICE, mapRequest, NONCE, OTHER_DEVICE, OTHER_NONCE, portAdd, refusalOf } from "./given.ts";

const device = fc.integer({ min: 2, max: 4 }).map((host) => `192.168.77.${host}`);
const smallPort = fc.integer({ min: 2000, max: 2008 });
type Step =
  | { readonly wait: number }
  | { readonly command: Command }
  | { readonly pick: number; readonly verb: string };

const asked = fc
  .record({
    by: fc.constantFrom("pcp" as const, "natpmp" as const),
    device,
    internalPort: smallPort,
    suggestedPort: smallPort,
    protocol: fc.constantFrom(6, 17),
    lifetime: fc.integer({ min: 400, max: 900 }),
  })
  .map((fields) => ({ command: mapRequest({ ...fields, nonce: fields.by === "pcp" ? NONCE : null }) }));
const added = fc
  .record({
    externalPort: smallPort,
    internalPort: smallPort,
    internalAddress: device,
    count: fc.constantFrom(1, 1, 3),
    lifetime: fc.constantFrom(null, 500),
    enabled: fc.boolean(),
    label: fc.constantFrom(null, "web"),
  })
  .map((fields) => ({ command: portAdd(fields) }));
const chosen = fc.record({
  pick: fc.nat(),
  verb: fc.constantFrom(
    "remove",
    "keep",
    "block",
    "disable",
    "enable",
    "move",
    "label",
    "limit",
    "to",
    "pause",
    "unblock",
  ),
});
const step: fc.Arbitrary<Step> = fc.oneof(asked, added, chosen, fc.record({ wait: fc.integer({ min: 1, max: 200 }) }));
const edit: fc.Arbitrary<Step> = fc.oneof(added, chosen, chosen);

function commandOf(gateway: Remembering, each: { readonly pick: number; readonly verb: string }): Command {
  const ids = [...tableEntries(gateway.state.mappings)].map(([key]) => key).sort();
  const id = ids[each.pick % Math.max(1, ids.length)] ?? "m0";
  const port = 2000 + (each.pick % 9);
  switch (each.verb) {
    case "disable":
    case "enable":
      return { type: "port.edit", id, enabled: each.verb === "enable" };
    case "move":
      return { type: "port.edit", id, externalPort: port };
    case "to":
      return { type: "port.edit", id, internalAddress: "192.168.77.5", internalPort: port };
    case "label":
      return { type: "port.edit", id, label: `l${each.pick % 3}` };
    case "limit":
      return { type: "port.edit", id, lifetime: each.pick % 2 === 0 ? null : 700 };
    case "pause":
      return each.pick % 3 === 0
        ? { type: "reconciler.resume", name: "sysctls" }
        : { type: "reconciler.pause", name: "sysctls", until: gateway.now + 1000 * (1 + (each.pick % 5)) };
    case "unblock": {
      const block = Object.values(gateway.state.blocks)[0];
      const { device = "192.168.77.2", protocol = "tcp", internalPort = 1 } = block ?? {};
      return { type: "port.unblock", device, protocol, internalPort };
    }
    default:
      return { type: `port.${each.verb}` as "port.remove", id };
  }
}

function play(gateway: Remembering, steps: readonly Step[]): void {
  for (const each of steps) {
    if ("wait" in each) gateway.later(each.wait).do({ type: "leases.expire" }, "clock");
    else if ("verb" in each) gateway.do(commandOf(gateway, each), OPERATOR);
    else if (each.command.type === "map") gateway.do(each.command, `${each.command.by}:${each.command.device}`);
    else gateway.do(each.command, OPERATOR);
  }
}

describe("undo", () => {
  it("[E5] of any operator's change, when nothing else happened, gives back the same contentHash and the same rows", () => {
    let tried = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), edit, (steps, last) => {
        const gateway = new Remembering({}, "same-host");
        play(gateway, steps);
        const [before, hash, length] = [gateway.state, contentHash(gateway.state), gateway.records.length];
        play(gateway, [last]);
        if (gateway.records.length === length) return;
        tried += 1;
        const done = gateway.state;
        const undone = gateway.revert(gateway.change());
        expect(messageOf(undone)).toBe("accepted");
        expect(contentHash(gateway.state)).toBe(hash);
        expect(rowsOf(gateway.state)).toEqual(rowsOf(before));
        // An undo is a change like any other.
        expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
        expect(contentHash(gateway.state)).toBe(contentHash(done));
        expect(rowsOf(gateway.state)).toEqual(rowsOf(done));
      }),
      { numRuns: 400 },
    );
    expect(tried).toBeGreaterThan(200);
  });

  it("[E5] gives back a port that a device had in spite of a block: that says no to new ones", () => {
    const gateway = new Remembering({}, "same-host");
    gateway.byDevice({ internalPort: 2000, suggestedPort: 2001 });
    gateway.do(portAdd({ externalPort: 2000, internalPort: 2000 }), OPERATOR);
    gateway.do({ type: "port.block", id: gateway.idAt(2000) }, OPERATOR);
    const hash = contentHash(gateway.state);
    expect(gateway.mapping(2001)).toBeDefined();
    gateway.do(portAdd({ externalPort: 2000, internalPort: 2000, count: 3 }), OPERATOR);
    expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
    expect(contentHash(gateway.state)).toBe(hash);
  });

  it("[E5] of any change, however long ago, keeps the invariants or refuses", () => {
    let [reverted, refused] = [0, 0];
    fc.assert(
      fc.property(fc.array(step, { minLength: 4, maxLength: 25 }), fc.nat(), (steps, pick) => {
        const gateway = new Remembering({}, "same-host");
        play(gateway, steps);
        const changes = gateway.records.length;
        const back = 1 + (pick % Math.max(1, Math.min(8, changes)));
        let change: Change;
        try {
          change = gateway.change(back);
        } catch {
          return;
        }
        const decision = gateway.revert(change);
        if (decision.ok) reverted += 1;
        else {
          refused += 1;
          expect(["NOT_UNDOABLE", "UNDO_CONFLICT"]).toContain(decision.refusal.code);
        }
      }),
      { numRuns: 400 },
    );
    expect(reverted).toBeGreaterThan(15);
    expect(refused).toBeGreaterThan(15);
  });

  it("[E5] gives a lease back with the end it had: no more time, and what has ended meanwhile not at all", () => {
    const gateway = new Remembering();
    gateway.byDevice({ suggestedPort: 8080, lifetime: 600 });
    // A renewal moves the end in memory only; it is logged by what ends the lease.
    gateway.later(300).byDevice({ suggestedPort: 8080, lifetime: 600 });
    const end = gateway.now + 600_000;
    gateway.do({ type: "port.remove", id: gateway.idAt(8080) });
    const change = gateway.change();
    expect(change.records.map(({ event }) => event.type)).toEqual(["leases.renewed", "lease.released"]);
    gateway.later(200);
    expect(messageOf(gateway.revert(change))).toBe("accepted");
    expect(gateway.mapping(8080)?.claims).toMatchObject([{ key: `pcp:${NONCE}`, expiresAt: end, lifetime: 600 }]);
    expect(gateway.leases.deadlineOf(gateway.idAt(8080), `pcp:${NONCE}`)).toBe(end);

    gateway.do({ type: "port.remove", id: gateway.idAt(8080) });
    gateway.later(400);
    expect(refusalOf(gateway.revert(gateway.change())).code).toBe("UNDO_CONFLICT");
  });

  it("[E5] brings back whom an operator's forward displaced, as old as it was", () => {
    const gateway = new Remembering();
    gateway.byDevice({ suggestedPort: 8080 });
    const was = gateway.mapping(8080);
    gateway.do(portAdd({ externalPort: 8080, internalAddress: OTHER_DEVICE }));
    expect(gateway.mapping(8080)?.internalAddress).toBe(OTHER_DEVICE);
    expect(messageOf(gateway.revert(gateway.change()))).toBe("accepted");
    const { specRevision: _spec, revision: _revision, ...restored } = gateway.mapping(8080) ?? {};
    expect(was).toMatchObject(restored);
  });

  it("[E5] is refused when later records depend on the change, and names them", () => {
    const gateway = new Remembering();
    gateway.do(portAdd({ label: "one" }));
    const first = gateway.change();
    gateway.do({ type: "port.edit", id: gateway.idAt(8443), label: "two" });
    const later = gateway.records.at(-1)?.seq;
    const refusal = gateway.revert({ ...first, later: gateway.records.slice(first.records.length) });
    expect(messageOf(refusal)).toContain(`record ${later} (mapping.changed by ${OPERATOR})`);
    expect(refusal).toMatchObject({
      refusal: { code: "UNDO_CONFLICT", conflicts: expect.arrayContaining([`${later}`]) },
    });
  });

  it("[E5] is refused where someone else holds the port by now", () => {
    const gateway = new Remembering();
    gateway.do(portAdd());
    gateway.do({ type: "port.remove", id: gateway.idAt(8443) });
    const change = gateway.change();
    gateway.do(portAdd({ internalAddress: OTHER_DEVICE }));
    const [later] = gateway.records.slice(-1) as [PortreeveRecord];
    const refusal = gateway.revert({ ...change, later: [later] });
    expect(messageOf(refusal)).toBe(
      `port 8443/tcp can't become what it was: 8443/tcp goes to ${OTHER_DEVICE}:443 now: record ${later.seq} (mapping.granted by ${OPERATOR}). Take that back first`,
    );
  });

  it("[E5] is refused where a device may not have its port any more", () => {
    const gateway = new Remembering();
    gateway.byDevice({ suggestedPort: 8080 });
    const id = gateway.idAt(8080);
    gateway.do({ type: "port.remove", id });
    const change = gateway.change();
    gateway.byDevice({ suggestedPort: 8080 });
    gateway.do({ type: "port.block", id: gateway.idAt(8080) });
    expect(messageOf(gateway.revert(change))).toContain(`${DEVICE} may not ask for 8080/tcp`);
  });

  it("[E5] says that it was undone already, and by which record", () => {
    const gateway = new Remembering();
    gateway.do(portAdd());
    const change = gateway.change();
    gateway.revert(change);
    const undoing = gateway.records.at(-1) as PortreeveRecord;
    expect(undoing.causedBy).toBe(change.records[0]?.seq);
    expect(messageOf(gateway.revert({ ...change, later: [undoing] }))).toContain(
      `undone already, by record ${undoing.seq}`,
    );
  });

  it("[E5] once more, gives nothing back that its device has given up since", () => {
    const gateway = new Remembering();
    gateway.byDevice({ suggestedPort: 8080 });
    gateway.do({ type: "port.remove", id: gateway.idAt(8080) });
    expect(gateway.revert(gateway.change()).ok).toBe(true);
    expect(gateway.mapping(8080)).toBeDefined();
    gateway.unmap();
    expect(messageOf(gateway.revert(gateway.change(3)))).toContain("was undone already");
    expect(gateway.mapping(8080)).toBeUndefined();
  });

  it("[E5] of an edit leaves what a device did meanwhile", () => {
    const gateway = new Remembering();
    gateway.byDevice({ suggestedPort: 8080, lifetime: 600 });
    gateway.do({ type: "port.edit", id: gateway.idAt(8080), label: "no" });
    const change = gateway.change();
    gateway.later(60).byDevice({ suggestedPort: 8080, lifetime: 900 });
    gateway.do({ type: "port.keep", id: gateway.idAt(8080) });
    expect(messageOf(gateway.revert(change))).toBe("accepted");
    expect(gateway.mapping(8080)).toMatchObject({
      label: null,
      claims: [{ source: "pcp", lifetime: 900 }, { source: "manual" }],
    });
  });

  it("[E5] revokes what a device was given, and brings nothing back that it gave up", () => {
    const gateway = new Remembering({}, "same-host");
    gateway.byDevice({ suggestedPort: 8080 });
    const given = gateway.change();
    expect(messageOf(gateway.revert(given))).toBe("accepted");
    expect(gateway.mapping(8080)).toBeUndefined();
    expect(gateway.records.at(-1)?.event).toMatchObject({ type: "lease.released", data: { reason: "operator" } });

    for (const nonce of ["1", "2", "3", "4", "5"]) gateway.byDevice({ suggestedPort: 8080, nonce: nonce.repeat(24) });
    const replaced = gateway.change();
    expect(replaced.records.map(({ event }) => event.type).sort()).toEqual(["lease.granted", "lease.released"]);
    expect(messageOf(gateway.revert(replaced))).toBe("accepted");
    expect(gateway.mapping(8080)?.claims.map(({ nonce }) => nonce?.[0])).toEqual(["2", "3", "4"]);

    gateway.do({ ...mapRequest({ nonce: OTHER_NONCE }), type: "unmap", nonce: "2".repeat(24) }, `pcp:${DEVICE}`);
    expect(refusalOf(gateway.revert(gateway.change())).code).toBe("NOT_UNDOABLE");
  });

  it("[E5] is refused for what nobody decided", () => {
    const gateway = new Remembering();
    gateway.do({ type: "interface.observe", name: "wan0", up: false, addresses: [], gateway: null }, "kernel");
    expect(messageOf(gateway.revert(gateway.change()))).toContain("nobody decided it");
  });
});
