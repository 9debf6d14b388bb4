import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { MapRequest } from "../../../src/reducers/decide/command.ts";
import { checkInvariants } from "../../../src/reducers/invariants.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { upnpEntries } from "../../../src/reducers/select/upnp-entries.ts";
import {
  DEVICE,
  eventsOf,
  Gateway,
  mapped,
  NONCE,
  OTHER_DEVICE,
  OTHER_NONCE,
  portAdd,
  refusalOf,
  upnpMap,
  WAN_ADDRESS,
} from "./given.ts";
import { Router } from "./router.ts";

const select = selectForwards("0123456789abcdef");

const ask = (gateway: Gateway, size: number, fields: Partial<MapRequest> & { parity?: boolean } = {}) => {
  const { parity = false, ...rest } = fields;
  return gateway.map({ internalPort: 6000, suggestedPort: 6000, portSet: { size, parity }, ...rest });
};

/** What was said of the set: external and internal first port, and size; one port has none. */
function said(decision: ReturnType<typeof ask>): [number, number, number] {
  const { externalPort, set } = mapped(decision);
  return [externalPort, set?.firstInternalPort ?? 0, set?.count ?? 1];
}

const sizes = (gateway: Gateway): number[] => Array.from(tableRows(gateway.state.mappings), ({ count }) => count);

describe("PORT_SET", () => {
  it("[P5] PCP-S-70 maps consecutive ports on both sides, as one mapping and one interval", () => {
    const gateway = new Gateway();
    expect(said(ask(gateway, 10))).toEqual([6000, 6000, 10]);
    const row = select(gateway.state).get(`range|${WAN_ADDRESS}|tcp|6000-6009`);
    expect(row?.spec).toMatchObject({ toAddress: DEVICE });
    const listed = upnpEntries(gateway.state, gateway.leases, { interface: "lan0", device: DEVICE }, gateway.now);
    expect(listed).toMatchObject([{ externalPort: 6000, count: 10 }]);
  });

  it("[P5] PCP-S-70 never more than asked for, fewer than it may have, and no port beyond 65535", () => {
    const few = new Gateway({
      perDevice: { mappings: 9, ports: 7, requestsPerSecond: 1, eventsPerMinute: 9, eventBurst: 9 },
    });
    few.map({ internalPort: 100 });
    expect(said(ask(few, 10))).toEqual([6000, 6000, 6]);
    expect(refusalOf(ask(few, 10, { internalPort: 7000 })).code).toBe("QUOTA_EXCEEDED");
    expect(said(ask(new Gateway(), 0xffff))).toEqual([6000, 6000, 1024]);
    expect(said(ask(new Gateway(), 100, { internalPort: 65_530, suggestedPort: 6000 }))).toEqual([6000, 65_530, 6]);
  });

  it("[P5] PCP-S-71 one port, asked for or got, is a mapping like any other", () => {
    const gateway = new Gateway();
    expect(said(ask(gateway, 1))).toEqual([6000, 0, 1]);
    expect(said(ask(gateway, 5, { internalPort: 5999, suggestedPort: 0 }))).toEqual([5999, 0, 1]);
  });

  it("[P5] PCP-S-72 with parity the first port outside is even or odd as the first inside", () => {
    expect(said(ask(new Gateway(), 4, { suggestedPort: 7001, parity: true }))).toEqual([6000, 6000, 4]);
    expect(said(ask(new Gateway(), 4, { suggestedPort: 7001 }))).toEqual([7001, 6000, 4]);
    const gateway = new Gateway();
    gateway.map({ device: OTHER_DEVICE, internalPort: 6000, suggestedPort: 6000 });
    const [first] = said(ask(gateway, 4, { parity: true, internalPort: 6001, suggestedPort: 6000 }));
    expect(first % 2).toBe(1);
  });

  it("[P5] goes around what is taken, reserved or protected outside", () => {
    const gateway = new Gateway({ protectedPorts: [6020] });
    gateway.append([event("listeners.observed", { listeners: [{ protocol: "tcp", port: 6040 }] })]);
    gateway.map({ device: OTHER_DEVICE, internalPort: 6005, suggestedPort: 6005 });
    for (const suggestedPort of [6000, 6018, 6035, 60_995]) {
      const [first, , count] = said(ask(gateway, 10, { suggestedPort, internalPort: suggestedPort }));
      expect(count).toBe(10);
      for (const port of [6005, 6020, 6040, 61_000]) expect(first <= port && port < first + 10).toBe(false);
    }
  });

  it("[P5] gets the longest run there is, where none is as long as asked for", () => {
    const gateway = new Gateway();
    // Every sixtieth port is a listener's, but for one.
    const all = Array.from({ length: 200 }, (_, index) => 1024 + index * 60);
    const listeners = all.filter((port) => port !== 2044).map((port) => ({ protocol: "tcp" as const, port }));
    gateway.append([event("listeners.observed", { listeners })]);
    expect(said(ask(gateway, 200))).toEqual([1985, 6000, 119]);
    expect(said(ask(gateway, 200, { device: OTHER_DEVICE }))[2]).toBe(59);
  });

  it("[P5] ends inside before a port that leads elsewhere, is blocked, or is not allowed", () => {
    const gateway = new Gateway();
    gateway.map({ internalPort: 6004 });
    expect(said(ask(gateway, 10))).toEqual([6000, 6000, 4]);
    const { mappingId } = mapped(gateway.map({ internalPort: 7003 }));
    gateway.do({ type: "port.block", id: mappingId });
    expect(said(ask(gateway, 10, { internalPort: 7000, suggestedPort: 7000 }))).toEqual([7000, 7000, 3]);
    const router = new Router();
    router.device("nas", { ports: "ask" });
    const { id, address: device } = router.find("nas");
    for (const internalPort of [6000, 6001])
      router.do({ type: "device.allow", id, protocol: "tcp", internalPort, allowed: true });
    expect(said(ask(router, 10, { interface: "wg0", device }))).toEqual([6000, 6000, 2]);
  });

  it("[P5] PCP-S-73 is renewed as a unit, whatever size is asked for, and by a request for one of its ports", () => {
    const gateway = new Gateway();
    ask(gateway, 10);
    gateway.later(1000);
    for (const size of [10, 3, 100]) {
      const again = ask(gateway, size);
      expect([eventsOf(again), said(again)]).toEqual([[], [6000, 6000, 10]]);
    }
    const one = gateway.map({ internalPort: 6004 });
    expect(mapped(one)).toMatchObject({ externalPort: 6004, lifetime: 3600 });
    expect(mapped(one).set).toBeUndefined();
    const [mapping] = tableRows(gateway.state.mappings);
    expect(gateway.leases.deadlineOf(mapping?.id ?? "", `pcp:${NONCE}`)).toBe(gateway.now + 3_600_000);
  });

  it("[P5] PCP-S-73 refreshes what else of the same client's it overlaps, and says of what", () => {
    const gateway = new Gateway({}, "same-host");
    const single = mapped(gateway.map({ internalPort: 6004 }));
    const tail = mapped(ask(gateway, 2, { internalPort: 6007, suggestedPort: 6007 }));
    gateway.map({ internalPort: 6006, nonce: OTHER_NONCE });
    gateway.later(1000);
    const set = ask(gateway, 10);
    const key = `pcp:${NONCE}`;
    const touched = [single, tail].map(({ mappingId }) => ({ mappingId, claimKey: key }));
    expect(mapped(set)).toMatchObject({ externalPort: 6000, set: { count: 4 }, touched });
    for (const { mappingId } of touched) {
      expect(gateway.leases.deadlineOf(mappingId, key)).toBe(gateway.now + 3_600_000);
    }
    expect(mapped(gateway.map({ internalPort: 6004 })).touched).toBeUndefined();
  });

  it("[P5] PCP-S-38 is not another nonce's to touch", () => {
    const gateway = new Gateway();
    ask(gateway, 10);
    expect(refusalOf(ask(gateway, 10, { nonce: OTHER_NONCE })).code).toBe("NONCE_MISMATCH");
    expect(refusalOf(gateway.unmap({ internalPort: 6003, nonce: OTHER_NONCE })).code).toBe("NONCE_MISMATCH");
    expect(said(ask(gateway, 10, { nonce: OTHER_NONCE, internalPort: 5995, suggestedPort: 0 }))[2]).toBe(5);
  });

  it("[P5] PCP-S-73 is deleted as a unit, by any of its ports, and kept from others for a while", () => {
    const gateway = new Gateway();
    ask(gateway, 10);
    expect(eventsOf(gateway.unmap({ internalPort: 6007 }))).toEqual(["lease.released"]);
    expect(sizes(gateway)).toEqual([]);
    expect(gateway.state.quarantine.size).toBe(10);
    const other = mapped(gateway.map({ device: OTHER_DEVICE, internalPort: 80, suggestedPort: 6009 }));
    expect(other.externalPort).not.toBe(6009);
  });

  it("[P5] what NAT-PMP and UPnP ask for within it is confirmed, and held by it alone", () => {
    const gateway = new Gateway();
    ask(gateway, 10, { lifetime: 600 });
    const natpmp = mapped(gateway.map({ by: "natpmp", internalPort: 6003 }));
    expect(natpmp).toMatchObject({ externalPort: 6003, claimKey: null, lifetime: 600 });
    const upnp = mapped(gateway.do(upnpMap({ internalPort: 6003, externalPort: 6003 })));
    expect(upnp).toMatchObject({ externalPort: 6003, claimKey: null, lifetime: 600 });
    expect(sizes(gateway)).toEqual([10]);
  });

  it("[P5] of an operator's range the part is said that was asked for", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 6000, internalPort: 6000, count: 10 }));
    expect(mapped(ask(gateway, 4, { internalPort: 6004 }))).toMatchObject({ claimKey: null });
    expect(said(ask(gateway, 4, { internalPort: 6004 }))).toEqual([6004, 6004, 4]);
    expect(said(ask(gateway, 40, { internalPort: 6004 }))).toEqual([6004, 6004, 6]);
  });

  it("[P5] an operator takes it away whole, and brings it back so", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(ask(gateway, 10));
    expect(refusalOf(gateway.do({ type: "port.block", id: mappingId })).code).toBe("INVALID_REQUEST");
    expect(eventsOf(gateway.do({ type: "port.remove", id: mappingId }))).toEqual(["lease.released"]);
    expect(checkInvariants(gateway.state)).toEqual([]);
  });
});
