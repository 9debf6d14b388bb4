import { describe, expect, it } from "vitest";
import type { DumpedPeer } from "../../../../src/adapters/wireguard/dump.ts";
import { PeerActivityLog } from "../../../../src/adapters/wireguard/peer-activity.ts";

const START = 1_800_000_000_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** A log with a clock in our hands; the wall clock is an hour ahead of gateway time. */
function rig() {
  const time = { now: START, wall: START + 60 * MINUTE };
  const log = new PeerActivityLog({ now: () => time.now }, () => time.wall);
  const pass = (ms: number): void => {
    time.now += ms;
    time.wall += ms;
  };
  const see = (more: Partial<DumpedPeer> = {}): void =>
    log.record({
      privateKey: null,
      publicKey: null,
      listenPort: 1,
      peers: [
        {
          publicKey: "nas",
          presharedKey: null,
          endpoint: null,
          allowedIps: [],
          handshakeAt: 0,
          received: 0,
          sent: 0,
          ...more,
        },
      ],
    });
  const sums = (span: "quarter-hour" | "day"): { received: number; sent: number; slots: number } => {
    const slots = log.history("nas", span)?.slots ?? [];
    return {
      received: slots.reduce((sum, slot) => sum + slot.received, 0),
      sent: slots.reduce((sum, slot) => sum + slot.sent, 0),
      slots: slots.filter((slot) => slot.received + slot.sent > 0).length,
    };
  };
  return { log, pass, see, sums };
}

describe("what a peer did", () => {
  it("is its last handshake in gateway time, its endpoint and its bytes", () => {
    const { log, see } = rig();
    expect(log.activity("nas")).toBeUndefined();
    expect(log.history("nas", "day")).toBeUndefined();
    see();
    expect(log.activity("nas")).toEqual({ handshakeAt: null, endpoint: null, received: 0, sent: 0 });
    see({ endpoint: "11.22.33.2:7", handshakeAt: (START + 60 * MINUTE) / 1000 - 5, received: 100, sent: 50 });
    expect(log.activity("nas")).toEqual({
      handshakeAt: START - 5000,
      endpoint: "11.22.33.2:7",
      received: 100,
      sent: 50,
    });
  });

  it("goes on when the interface was made anew: its counters and its endpoint start again, ours do not", () => {
    const { log, pass, see, sums } = rig();
    see();
    see({ endpoint: "11.22.33.2:7", received: 1000, sent: 500 });
    pass(1000);
    see();
    see({ received: 10, sent: 600 });
    expect(log.activity("nas")).toMatchObject({ endpoint: "11.22.33.2:7", received: 1010, sent: 1100 });
    expect(sums("day")).toMatchObject({ received: 1010, sent: 1100 });
  });

  it("counts what was before we looked in the totals, and in no slot", () => {
    const { log, see, sums } = rig();
    see({ received: 1_000_000, sent: 1 });
    expect(log.activity("nas")).toMatchObject({ received: 1_000_000, sent: 1 });
    expect(sums("day")).toEqual({ received: 0, sent: 0, slots: 0 });
  });

  it("is remembered for a quarter of an hour finely, for a day coarsely, and then no more", () => {
    const { log, pass, see, sums } = rig();
    see();
    for (let minute = 1; minute <= 10; minute += 1) {
      pass(MINUTE);
      see({ received: minute * 100, sent: minute });
    }
    expect(sums("quarter-hour")).toEqual({ received: 1000, sent: 10, slots: 10 });
    expect(sums("day").received).toBe(1000);
    expect(sums("day").slots).toBeLessThanOrEqual(3);
    const { slotMs, slots } = log.history("nas", "quarter-hour") ?? { slotMs: 0, slots: [] };
    expect(slotMs * slots.length).toBe(15 * MINUTE);
    expect(slots.map(({ at }) => at)).toEqual(slots.map((_, index) => (slots[0]?.at ?? 0) + index * slotMs));
    pass(20 * MINUTE);
    expect(sums("quarter-hour")).toEqual({ received: 0, sent: 0, slots: 0 });
    expect(sums("day").received).toBe(1000);
    pass(DAY);
    expect(sums("day")).toEqual({ received: 0, sent: 0, slots: 0 });
  });

  it("takes a jump over more than all slots for what it is: nothing happened in between", () => {
    const { pass, see, sums } = rig();
    see();
    see({ received: 5 });
    pass(3 * DAY);
    see({ received: 12 });
    expect(sums("day")).toEqual({ received: 7, sent: 0, slots: 1 });
  });

  it("is forgotten with the peer, but not while its interface is made anew", () => {
    const { log, pass, see } = rig();
    const nobody = { privateKey: null, publicKey: null, listenPort: 1, peers: [] };
    see({ received: 5 });
    pass(MINUTE);
    log.record(nobody);
    expect(log.activity("nas")).toBeDefined();
    pass(10 * MINUTE);
    log.record(nobody);
    expect(log.activity("nas")).toBeUndefined();
  });
});
