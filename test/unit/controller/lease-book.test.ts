import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LeaseBook } from "../../../src/controller/lease-book.ts";
import { Gateway, mapped, NONCE, T0 } from "../reducers/given.ts";

describe("LeaseBook", () => {
  it("[P12] is due exactly at the deadline, also after renewals moved it to and fro", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 120, max: 4000 }), { minLength: 1, maxLength: 30 }), (lifetimes) => {
        const gateway = new Gateway();
        const { mappingId } = mapped(gateway.map({ lifetime: 4000 }));
        for (const lifetime of lifetimes) gateway.later(1).map({ lifetime });
        const end = gateway.now + (lifetimes.at(-1) as number) * 1000;
        const claim = { mappingId, claimKey: `pcp:${NONCE}` };
        expect(gateway.leases.due(end - 1)).toEqual([]);
        expect(gateway.leases.next()).toBe(end);
        expect(gateway.leases.due(end)).toEqual([claim]);
        // Until an event ends it, it stays due.
        expect(gateway.leases.due(end)).toEqual([claim]);
      }),
    );
  });

  it("[P12] 10,000 renewals append nothing; a checkpoint writes what moved by more than a quarter", () => {
    const gateway = new Gateway();
    gateway.map({ lifetime: 1000 });
    const head = gateway.state.seq;
    for (let round = 0; round < 10_000; round += 1) gateway.map({ lifetime: 1000 });
    gateway.later(200).map({ lifetime: 1000 });
    gateway.do({ type: "leases.checkpoint" }, "clock");
    expect(gateway.state.seq).toBe(head);
    gateway.later(51).map({ lifetime: 1000 });
    gateway.do({ type: "leases.checkpoint" }, "clock");
    expect(gateway.state.seq).toBe(head + 1);
    expect(gateway.leases.moved(true)).toEqual([]);
  });

  it("forgets leases that ended early, long before they would have", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map({ lifetime: 7200 }));
    const other = "0".repeat(24);
    for (let round = 0; round < 2000; round += 1) {
      const { mappingId: id } = mapped(gateway.later(3).map({ lifetime: 7200, internalPort: 9999, nonce: other }));
      gateway.do({ type: "port.remove", id }, "api:socket");
    }
    expect(gateway.leases.size).toBe(1);
    expect(gateway.leases.entries).toBeLessThan(1100);
    expect(gateway.leases.next()).toBe(T0 + 7_200_000);
    expect(gateway.leases.due(T0 + 7_200_000)).toEqual([{ mappingId, claimKey: `pcp:${NONCE}` }]);
  });

  it("[P12] after an unclean stop a lease ends no earlier than promised by any renewal before it", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map({ lifetime: 3600 }));
    gateway.later(3000).map({ lifetime: 3600 });
    const promised = gateway.now + 3_600_000;
    gateway.append([started(false, gateway.now)]);
    const restarted = new LeaseBook();
    restarted.restore(gateway.state, gateway.now);
    expect(restarted.deadlineOf(mappingId, `pcp:${NONCE}`)).toBeGreaterThanOrEqual(promised);
  });

  it("[P12] after a clean stop a lease keeps its exact end, or the grace of a short restart", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map({ lifetime: 7200 }));
    gateway.later(600).map({ lifetime: 7200 });
    const promised = gateway.now + 7_200_000;
    gateway.do({ type: "controller.stop" }, "controller");
    for (const downtime of [10, 7190]) {
      const book = new LeaseBook();
      const now = gateway.now + downtime * 1000;
      book.restore({ ...gateway.state, run: { ...gateway.state.run, afterCleanStop: true } }, now);
      expect(book.deadlineOf(mappingId, `pcp:${NONCE}`)).toBe(Math.max(promised, now + 20 * 60_000));
    }
  });

  it("forgets released claims", () => {
    const gateway = new Gateway();
    gateway.map();
    gateway.unmap();
    expect(gateway.leases.size).toBe(0);
    expect(gateway.leases.due(T0 * 2)).toEqual([]);
  });
});

function started(afterCleanStop: boolean, uptimeMs: number) {
  const data = { version: "0", instanceId: "0123456789abcdef", bootId: "b", uptimeMs, afterCleanStop };
  return { type: "controller.started", v: 1, data } as const;
}
