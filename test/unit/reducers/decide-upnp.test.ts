import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { Decision } from "../../../src/reducers/decide/command.ts";
import type { UpnpMap } from "../../../src/reducers/decide/upnp.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { type UpnpEntry, upnpEntries } from "../../../src/reducers/select/upnp-entries.ts";
import {
  DEVICE,
  eventsOf,
  Gateway,
  mapped,
  NO_DNS,
  OTHER_DEVICE,
  portAdd,
  refusalOf,
  upnpMap,
  WAN_ADDRESS,
} from "./given.ts";
import { Router } from "./router.ts";

const PEER = "198.51.100.7";
const select = selectForwards("0123456789abcdef");

const add = (gateway: Gateway, fields: Partial<UpnpMap> = {}): Decision =>
  gateway.do(upnpMap(fields), `upnp:${fields.device ?? DEVICE}`);

const remove = (gateway: Gateway, fields: { device?: string; externalPort?: number; remoteHost?: string } = {}) =>
  gateway.do(
    {
      type: "upnpUnmap",
      interface: "lan0",
      device: DEVICE,
      protocol: "tcp",
      externalPort: 9000,
      remoteHost: null,
      ...fields,
    },
    `upnp:${fields.device ?? DEVICE}`,
  );

const entries = (gateway: Gateway, device = DEVICE, iface = "lan0"): UpnpEntry[] =>
  upnpEntries(gateway.state, gateway.leases, { interface: iface, device }, gateway.now);

const ports = (gateway: Gateway): number[] =>
  [...tableRows(gateway.state.mappings)].map(({ externalPort }) => externalPort).sort((a, b) => a - b);

describe("AddPortMapping", () => {
  it("[P9] grants exactly what is asked for, and lists it", () => {
    const gateway = new Gateway();
    const answer = mapped(add(gateway, { description: "Half-Life", lifetime: 600 }));
    expect(answer).toMatchObject({ externalAddress: WAN_ADDRESS, externalPort: 9000, lifetime: 600 });
    gateway.later(100);
    expect(entries(gateway)).toEqual([
      {
        count: 1,
        remoteHost: "",
        externalPort: 9000,
        protocol: "TCP",
        internalPort: 8080,
        internalClient: DEVICE,
        enabled: true,
        description: "Half-Life",
        leaseSeconds: 500,
      },
    ]);
    expect(entries(gateway, OTHER_DEVICE)).toEqual([]);
  });

  it("[P9] IGD-04 lease 0, and one that is too long, is the longest that we grant", () => {
    const gateway = new Gateway({ lifetime: { pcpMin: 120, max: 86_400 } });
    expect(mapped(add(gateway, { lifetime: 0 })).lifetime).toBe(86_400);
    expect(mapped(add(gateway, { lifetime: 604_800 })).lifetime).toBe(86_400);
    const long = new Gateway({ lifetime: { pcpMin: 120, max: 0xffffffff } });
    expect(mapped(add(long, { lifetime: 0 })).lifetime).toBe(604_800);
    expect(mapped(add(long, { externalPort: 9001, lifetime: 1 })).lifetime).toBe(1);
  });

  it("[P9] a renewal moves the deadline and is no event; a longer lease, another word or switch is one", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(add(gateway));
    gateway.later(1000);
    expect(eventsOf(add(gateway))).toEqual([]);
    expect(gateway.leases.deadlineOf(mappingId, "upnp:")).toBe(gateway.now + 3_600_000);
    expect(eventsOf(add(gateway, { lifetime: 7200 }))).toEqual(["lease.changed"]);
    expect(eventsOf(add(gateway, { lifetime: 7200, description: "web" }))).toEqual(["lease.changed"]);
    expect(eventsOf(add(gateway, { lifetime: 60, description: "web" }))).toEqual([]);
    expect(entries(gateway)).toMatchObject([{ description: "web", leaseSeconds: 60 }]);
  });

  it("[P9] IGD-02 the same client overwrites its entry; what leads elsewhere by others' asking stays", () => {
    const gateway = new Gateway();
    add(gateway);
    expect(eventsOf(add(gateway, { internalPort: 8081 }))).toEqual(["lease.released", "mapping.granted"]);
    expect(entries(gateway)).toMatchObject([{ externalPort: 9000, internalPort: 8081 }]);
    // PCP wants it too: it is not UPnP's alone any more.
    gateway.map({ internalPort: 8081 });
    expect(refusalOf(add(gateway, { internalPort: 8082 })).code).toBe("PORT_TAKEN");
  });

  it("[P9] IGD-02 another client meets a conflict, whatever the remote host, and hears of whom", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(add(gateway));
    for (const remoteHost of [null, PEER]) {
      const decision = add(gateway, { device: OTHER_DEVICE, remoteHost });
      expect(decision).toMatchObject({ ok: false, refusal: { code: "PORT_TAKEN", conflicts: [mappingId] } });
    }
    expect(eventsOf(add(gateway, { device: OTHER_DEVICE, protocol: "udp" }))).toEqual(["mapping.granted"]);
  });

  it("[P9] IGD-02 the same client may name several remote hosts; each is an entry, and all are one forward", () => {
    const gateway = new Gateway();
    add(gateway, { remoteHost: PEER });
    expect(eventsOf(add(gateway, { remoteHost: "198.51.100.8" }))).toEqual(["lease.granted"]);
    expect(gateway.state.mappings.size).toBe(1);
    expect(entries(gateway).map(({ remoteHost }) => remoteHost)).toEqual([PEER, "198.51.100.8"]);
    expect(refusalOf(remove(gateway)).code).toBe("NOT_FOUND");
    expect(eventsOf(remove(gateway, { remoteHost: PEER }))).toEqual(["lease.released"]);
    expect(entries(gateway).map(({ remoteHost }) => remoteHost)).toEqual(["198.51.100.8"]);
    const last = Array.from({ length: 16 }, (_, host) => add(gateway, { remoteHost: `203.0.113.${host}` })).at(-1);
    expect(refusalOf(last as Decision).code).toBe("QUOTA_EXCEEDED");
  });

  it("[P9] IGD-12 an entry that is not enabled is kept, counted and listed, and nothing is forwarded", () => {
    const gateway = new Gateway();
    add(gateway, { enabled: false });
    const key = `forward|${WAN_ADDRESS}|tcp|9000`;
    expect(select(gateway.state).get(key)).toBeUndefined();
    expect(entries(gateway)).toMatchObject([{ enabled: false }]);
    expect(refusalOf(add(gateway, { device: OTHER_DEVICE })).code).toBe("PORT_TAKEN");
    expect(eventsOf(add(gateway, { enabled: true }))).toEqual(["lease.changed"]);
    expect(select(gateway.state).get(key)).toBeDefined();
  });

  it("[P9] IGD-08 no port below 1024, inside or outside; any other is given instead of the external one", () => {
    const gateway = new Gateway();
    expect(refusalOf(add(gateway, { externalPort: 443 })).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(add(gateway, { internalPort: 22 })).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(add(gateway, { internalPort: 22, any: true })).code).toBe("NOT_AUTHORIZED");
    expect(mapped(add(gateway, { externalPort: 443, any: true })).externalPort).toBe(8080);
    expect(refusalOf(add(gateway, { externalPort: 0 })).code).toBe("INVALID_REQUEST");
    expect(refusalOf(add(gateway, { internalPort: 0 })).code).toBe("INVALID_REQUEST");
  });

  it("[P9] IGD-15 protected ports, listeners, operators and quarantine keep their ports", () => {
    const gateway = new Gateway({ protectedPorts: [5000] });
    gateway.append([event("listeners.observed", { listeners: [{ protocol: "tcp", port: 5001 }] })]);
    gateway.do(portAdd({ externalPort: 5002, internalAddress: OTHER_DEVICE }));
    gateway.map({ device: OTHER_DEVICE, internalPort: 5003, suggestedPort: 5003 });
    gateway.unmap({ device: OTHER_DEVICE, internalPort: 5003 });
    const codes = [5000, 5001, 5002, 5003].map((externalPort) => refusalOf(add(gateway, { externalPort })).code);
    expect(codes).toEqual(["PORT_PROTECTED", "PORT_PROTECTED", "PORT_TAKEN", "PORT_TAKEN"]);
    expect(eventsOf(add(gateway.later(121), { externalPort: 5003 }))).toEqual(["mapping.granted"]);
  });

  it("[P9] item 9: eight external ports on one internal port, and no more", () => {
    const gateway = new Gateway();
    for (let index = 0; index < 8; index += 1) mapped(add(gateway, { externalPort: 9000 + index }));
    expect(refusalOf(add(gateway, { externalPort: 9008 })).code).toBe("QUOTA_EXCEEDED");
    expect(eventsOf(add(gateway, { externalPort: 9003 }))).toEqual([]);
    expect(eventsOf(add(gateway, { externalPort: 9008, internalPort: 8081 }))).toEqual(["mapping.granted"]);
    expect(eventsOf(add(gateway, { externalPort: 9008, protocol: "udp" }))).toEqual(["mapping.granted"]);
  });

  it("[P9] quotas and event buckets are the device's, whatever it asks by; a renewal never fails on them", () => {
    const perDevice = { mappings: 2, ports: 8, requestsPerSecond: 50, eventsPerMinute: 1, eventBurst: 3 };
    const gateway = new Gateway({ perDevice });
    gateway.map({ internalPort: 7000 });
    add(gateway);
    expect(refusalOf(add(gateway, { externalPort: 9001 })).code).toBe("QUOTA_EXCEEDED");
    // In the place of its own it is not one more.
    expect(eventsOf(add(gateway, { internalPort: 8081 }))).toEqual(["lease.released", "mapping.granted"]);
    expect(refusalOf(add(gateway, { internalPort: 8082 })).code).toBe("EVENT_QUOTA_EXCEEDED");
    expect(refusalOf(add(gateway, { internalPort: 8081, enabled: false })).code).toBe("EVENT_QUOTA_EXCEEDED");
    const again = add(gateway, { internalPort: 8081, lifetime: 7200 });
    expect([eventsOf(again), mapped(again).lifetime]).toEqual([[], 3600]);
  });

  it("[P9] what a client calls it is cut and cleaned, as it is shown to people", () => {
    const gateway = new Gateway();
    add(gateway, { description: ` \u202Eevil\u0007${"\u{1F600}".repeat(40)}` });
    const [shown] = entries(gateway);
    expect(shown?.description).toBe(`evil${"\u{1F600}".repeat(30)}`);
    add(gateway, { description: "" });
    expect(entries(gateway)[0]?.description).toBe("UPnP");
  });
});

describe("who may open ports by UPnP", () => {
  it("[P9] blocks, rights and the lack of an address hold as for PCP", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(add(gateway));
    gateway.do({ type: "port.block", id: mappingId });
    expect(refusalOf(add(gateway)).code).toBe("BLOCKED");
    expect(refusalOf(add(gateway, { interface: "eth9" })).code).toBe("NOT_AUTHORIZED");
    gateway.append([event("interface.observed", { name: "wan0", up: true, addresses: [], gateway: null })]);
    expect(refusalOf(add(gateway, { internalPort: 8081 }))).toEqual({ code: "NO_EXTERNAL_ADDRESS", retryAfter: 30 });
  });

  it("[P9] a registered device asks by its right: at once, after a yes, or never", () => {
    const router = new Router();
    router.device("nas", { ports: "ask" });
    const { address, id } = router.find("nas");
    const asked = { interface: "wg0", device: address };
    expect(refusalOf(add(router, asked)).code).toBe("APPROVAL_PENDING");
    router.do({ type: "device.allow", id, protocol: "tcp", internalPort: 8080, allowed: true });
    expect(eventsOf(add(router, asked))).toEqual(["mapping.granted"]);
    expect(entries(router, address, "wg0")).toHaveLength(1);
    router.do({ type: "device.edit", id, ports: "off" });
    expect(refusalOf(add(router, { ...asked, internalPort: 8081 })).code).toBe("NOT_AUTHORIZED");
    const known = [{ interface: "lan0", nonce: "strict", devices: "known", ...NO_DNS } as const];
    router.append([event("settings.changed", { settings: { ...router.state.settings, lan: known } })]);
    expect(refusalOf(add(router)).code).toBe("NOT_AUTHORIZED");
  });

  it("[P9] what an operator disabled stays so", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(add(gateway));
    gateway.do({ type: "port.edit", id: mappingId, enabled: false });
    expect(refusalOf(add(gateway)).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(add(gateway, { internalPort: 8081 })).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(add(gateway, { externalPort: 9123 })).code, "by another external port").toBe("NOT_AUTHORIZED");
    expect(refusalOf(add(gateway, { externalPort: 9123, any: true })).code).toBe("NOT_AUTHORIZED");
    expect(entries(gateway)).toMatchObject([{ enabled: false }]);
  });
});

describe("one mapping, asked for by several protocols", () => {
  const asks = {
    pcp: (gateway: Gateway) => gateway.map({ by: "pcp", suggestedPort: 9000, lifetime: 3600 }),
    natpmp: (gateway: Gateway) => gateway.map({ by: "natpmp", suggestedPort: 9000, lifetime: 3600 }),
    upnp: (gateway: Gateway) => add(gateway),
  } as const;
  type By = keyof typeof asks;
  const ends = {
    pcp: (gateway: Gateway) => gateway.unmap({ by: "pcp" }),
    natpmp: (gateway: Gateway) => gateway.unmap({ by: "natpmp" }),
    upnp: (gateway: Gateway) => remove(gateway),
  } as const;
  const orders = (["pcp", "natpmp", "upnp"] as const).flatMap((first) =>
    (["pcp", "natpmp", "upnp"] as const)
      .filter((second) => second !== first)
      .map(
        (second) =>
          [first, second, (["pcp", "natpmp", "upnp"] as const).find((by) => ![first, second].includes(by))] as By[],
      ),
  );

  it.each(orders)("[P9] %s, %s, %s: one forward that lives while one of them wants it", (...order) => {
    const gateway = new Gateway();
    for (const by of order) expect(mapped(asks[by](gateway)).externalPort).toBe(9000);
    expect(gateway.state.mappings.size).toBe(1);
    expect(entries(gateway)).toHaveLength(1);
    for (const [index, by] of order.entries()) {
      expect(gateway.state.mappings.size).toBe(1);
      expect(eventsOf(ends[by](gateway))).toEqual(["lease.released"]);
      expect(gateway.state.mappings.size).toBe(index === 2 ? 0 : 1);
    }
  });

  it("[P9] another external port than PCP has is one more, and PCP keeps its own", () => {
    const gateway = new Gateway();
    gateway.map({ suggestedPort: 9000 });
    expect(mapped(add(gateway, { externalPort: 9001 })).externalPort).toBe(9001);
    expect(mapped(gateway.map({ suggestedPort: 9001 })).externalPort).toBe(9000);
    expect(ports(gateway)).toEqual([9000, 9001]);
  });

  it("[P9] PCP-S-39 an operator's forward to the device is confirmed, and not stored or ended by it", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 9000, internalPort: 8080, label: "web" }));
    const answer = mapped(add(gateway));
    expect(answer).toMatchObject({ externalPort: 9000, claimKey: null, lifetime: 3600 });
    expect(entries(gateway)).toMatchObject([{ description: "web", leaseSeconds: 0 }]);
    expect(refusalOf(remove(gateway)).code).toBe("NOT_AUTHORIZED");
  });
});

describe("AddAnyPortMapping", () => {
  const any = (gateway: Gateway, fields: Partial<UpnpMap> = {}) => add(gateway, { any: true, ...fields });

  it("[P9] IGD-03 gives the port that is asked for, another one instead of a conflict, and the same one again", () => {
    const gateway = new Gateway();
    add(gateway, { device: OTHER_DEVICE });
    const first = mapped(any(gateway));
    expect(first.externalPort).toBe(8080);
    expect(mapped(any(gateway)).externalPort).toBe(8080);
    expect(mapped(any(gateway, { externalPort: 0 })).externalPort).toBe(8080);
    expect(mapped(any(gateway, { externalPort: 9100, internalPort: 8081 })).externalPort).toBe(9100);
    expect(ports(gateway)).toEqual([8080, 9000, 9100]);
  });

  it("[P9] joins what the device has by PCP, rather than open another port", () => {
    const gateway = new Gateway();
    const pcp = mapped(gateway.map({ suggestedPort: 9500 }));
    expect(mapped(any(gateway, { externalPort: 0 }))).toMatchObject({ mappingId: pcp.mappingId, externalPort: 9500 });
  });
});

describe("DeletePortMapping", () => {
  it("[P9] IGD-09 what is not there is not found; what is another's is not said to be deleted", () => {
    const gateway = new Gateway();
    expect(refusalOf(remove(gateway)).code).toBe("NOT_FOUND");
    add(gateway);
    expect(refusalOf(remove(gateway, { device: OTHER_DEVICE })).code).toBe("NOT_AUTHORIZED");
    gateway.map({ internalPort: 7000, suggestedPort: 7000 });
    expect(refusalOf(remove(gateway, { externalPort: 7000 })).code).toBe("NOT_AUTHORIZED");
    expect(eventsOf(remove(gateway))).toEqual(["lease.released"]);
    expect(ports(gateway)).toEqual([7000]);
  });

  it("[P9] IGD-13 without a protocol both of the client's entries go", () => {
    const gateway = new Gateway();
    add(gateway);
    add(gateway, { protocol: "udp" });
    const both = {
      type: "upnpUnmap",
      interface: "lan0",
      device: DEVICE,
      externalPort: 9000,
      remoteHost: null,
    } as const;
    expect(eventsOf(gateway.do({ ...both, protocol: null }))).toEqual(["lease.released", "lease.released"]);
    expect(refusalOf(gateway.do({ ...both, protocol: null })).code).toBe("NOT_FOUND");
  });

  it("[P9] IGD-09 a range takes away what the device asked for by UPnP, and nothing else", () => {
    const gateway = new Gateway();
    for (const externalPort of [9000, 9005, 9011]) add(gateway, { externalPort });
    add(gateway, { externalPort: 9001, device: OTHER_DEVICE });
    add(gateway, { externalPort: 9002, protocol: "udp" });
    gateway.map({ internalPort: 9003, suggestedPort: 9003 });
    gateway.do(portAdd({ externalPort: 9004 }));
    const range = (firstPort: number, lastPort: number) =>
      gateway.do({ type: "upnpUnmapRange", interface: "lan0", device: DEVICE, protocol: "tcp", firstPort, lastPort });
    expect(eventsOf(range(9000, 9010))).toEqual(["lease.released", "lease.released"]);
    expect(ports(gateway)).toEqual([9001, 9002, 9003, 9004, 9011]);
    expect(refusalOf(range(9000, 9010)).code).toBe("NOT_FOUND");
    expect(refusalOf(range(9010, 9000)).code).toBe("INVALID_REQUEST");
  });
});

describe("a device in the tunnel", () => {
  it("[P1] gives back what it asked for by PCP", () => {
    const router = new Router();
    router.device("nas");
    const { address: device } = router.find("nas");
    router.map({ interface: "wg0", device });
    expect(eventsOf(router.unmap({ interface: "wg0", device }))).toEqual(["lease.released"]);
  });
});
