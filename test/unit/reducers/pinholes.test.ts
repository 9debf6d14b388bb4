import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { tableDelete, tableGet, tableRows, tableSet } from "../../../src/lib/table.ts";
import type { MapRequest } from "../../../src/reducers/decide/command.ts";
import { mappingsOf } from "../../../src/reducers/device-mappings.ts";
import { hostBehind } from "../../../src/reducers/decide/pinhole.ts";
import { forkState, sealState } from "../../../src/reducers/fork.ts";
import { deviceAtIpv6, deviceIpv6 } from "../../../src/reducers/ipv6-host.ts";
import { pinholesOf } from "../../../src/reducers/pinholes.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { type Served, servedInterface } from "../../../src/reducers/served.ts";
import { UNKNOWN_HOST, usageKey } from "../../../src/reducers/state.ts";
import { contentHash } from "../../../src/reducers/state-json.ts";
import {
  DEVICE,
  eventsOf,
  Gateway,
  mapped,
  NONCE,
  OTHER_DEVICE,
  OTHER_NONCE,
  refusalOf,
  unmapRequest,
  upnpMap,
  WAN_ADDRESS,
} from "./given.ts";
import { Router } from "./router.ts";

const HOST = "2001:db8:77::2";
const NEIGHBOUR = "2001:db8:77::3";
const LAN = ["192.168.77.1/24", "2001:db8:77::1/64"];
const FRIEND = { prefix: "2001:db8:33::/48", port: null } as const;
const PHONE = { prefix: "2001:db8:44::7/128", port: 5060 } as const;

const select = selectForwards("0123456789abcdef");

/** Rows about pinholes, in order. */
const rowsOf = (gateway: Gateway): string[] =>
  [...select(gateway.state).rows()]
    .map(({ key }) => key)
    .filter((key) => key.startsWith("pinhole"))
    .sort();

class Ipv6Gateway extends Gateway {
  constructor(...settings: ConstructorParameters<typeof Gateway>) {
    super(...settings);
    this.append([event("interface.observed", { name: "lan0", up: true, addresses: LAN, gateway: null })]);
  }

  pinhole(fields: Partial<MapRequest> = {}) {
    return this.map({ device: HOST, host: null, ...fields });
  }
}

describe("pinholes", () => {
  it("[P7] PCP-S-49 have the address and port that they have inside, whatever is suggested", () => {
    const gateway = new Ipv6Gateway();
    const decision = gateway.pinhole({ suggestedPort: 9000, suggestedAddress: "2001:db8:9::9" });
    expect(mapped(decision)).toMatchObject({ externalAddress: HOST, externalPort: 8080, lifetime: 3600 });
    expect(rowsOf(gateway)).toEqual([`pinhole|${HOST}|tcp|8080`]);
    // Asked for again, the same; by PREFER_FAILURE nothing else than that.
    const exactly = { suggestedPort: 8080, preferFailure: true };
    expect(mapped(gateway.pinhole(exactly))).toMatchObject({ externalAddress: HOST, externalPort: 8080 });
    expect(rowsOf(gateway)).toHaveLength(1);
    expect(eventsOf(gateway.pinhole(exactly))).toEqual([]);
    for (const asked of [
      { suggestedPort: 9000 },
      { suggestedPort: 8080, suggestedAddress: NEIGHBOUR },
      { suggestedPort: 8080, suggestedAddress: "0.0.0.0" },
    ]) {
      const refused = gateway.pinhole({ ...asked, internalPort: 8081, preferFailure: true });
      expect(refusalOf(refused).code).toBe("CANNOT_PROVIDE_EXTERNAL");
    }
  });

  it("[P7] of several hosts have the same port, beside a forward of it", () => {
    const gateway = new Ipv6Gateway();
    const ids = [
      gateway.pinhole(),
      gateway.pinhole({ device: NEIGHBOUR }),
      gateway.map({ suggestedPort: 8080 }),
      gateway.pinhole({ protocol: 17 }),
    ].map((decision) => mapped(decision).mappingId);
    expect(new Set(ids).size).toBe(4);
    expect(rowsOf(gateway)).toEqual([
      `pinhole|${HOST}|tcp|8080`,
      `pinhole|${HOST}|udp|8080`,
      `pinhole|${NEIGHBOUR}|tcp|8080`,
    ]);
    expect(select(gateway.state).get(`forward|${WAN_ADDRESS}|tcp|8080`)?.owners).toEqual([ids[2]]);
    expect(pinholesOf(gateway.state).map(({ id }) => id)).toEqual([ids[0], ids[1], ids[3]]);
  });

  it("[P7] [P4] let in whom their filters name, and nobody else", () => {
    const gateway = new Ipv6Gateway({}, "same-host");
    gateway.pinhole({ filters: [FRIEND, PHONE] });
    expect(rowsOf(gateway)).toEqual([
      `pinholeFromPort|${HOST}|tcp|8080|2001:db8:44::7/128|5060`,
      `pinholeFrom|${HOST}|tcp|8080|2001:db8:33::/48`,
    ]);
    // What is within another is not told twice.
    const { mappingId } = mapped(gateway.pinhole({ filters: [{ prefix: "2001:db8:33:1::/64", port: null }] }));
    expect(rowsOf(gateway)).toHaveLength(2);
    expect(tableGet(gateway.state.mappings, mappingId)?.claims[0]?.filters).toHaveLength(3);
    // Another claim without any wants everybody.
    gateway.pinhole({ nonce: OTHER_NONCE });
    expect(rowsOf(gateway)).toEqual([`pinhole|${HOST}|tcp|8080`]);
    gateway.unmap({ device: HOST, nonce: OTHER_NONCE });
    expect(rowsOf(gateway)).toHaveLength(2);
    gateway.unmap({ device: HOST });
    expect(rowsOf(gateway)).toEqual([]);
  });

  it("[P7] are refused to what is no host of the interface, and under the rules of IPv4", () => {
    const gateway = new Ipv6Gateway();
    const codeOf = (fields: Partial<MapRequest>): string => refusalOf(gateway.pinhole(fields)).code;
    expect(codeOf({ device: "fe80::2" })).toBe("NOT_AUTHORIZED");
    // No provider routes it, and no WAN has one of these.
    expect(codeOf({ device: "fd00:77::2" })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: "2001:db8:77::1" })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: "2001:DB8:77::2" })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: "2001:db8:78::2" })).toBe("NO_EXTERNAL_ADDRESS");
    expect(codeOf({ internalPort: 22 })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ protocol: 17, internalPort: 1900 })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ protocol: 17, internalPort: 5351 })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ internalPort: 0 })).toBe("UNSUPPORTED_PROTOCOL");
    expect(codeOf({ names: ["nas.example.org"] })).toBe("HOSTNAME_UNSUPPORTED");
    expect(pinholesOf(gateway.state)).toEqual([]);
    // What the gateway itself listens to is no matter of another host's.
    gateway.append([event("listeners.observed", { listeners: [{ protocol: "tcp", port: 8080 }] })]);
    expect(mapped(gateway.pinhole()).externalPort).toBe(8080);
  });

  it("[P7] need no WAN with an IPv4 address", () => {
    const gateway = new Ipv6Gateway();
    gateway.append([event("interface.observed", { name: "wan0", up: true, addresses: [], gateway: null })]);
    expect(mapped(gateway.pinhole()).externalAddress).toBe(HOST);
    expect(refusalOf(gateway.map()).code).toBe("NO_EXTERNAL_ADDRESS");
  });

  it("[P7] [P11] are counted with their host's forwards, or with all hosts that nobody knows", () => {
    const gateway = new Ipv6Gateway({
      perDevice: { ...new Gateway().state.settings.portControl.perDevice, mappings: 2 },
    });
    mapped(gateway.map());
    mapped(gateway.pinhole({ host: DEVICE }));
    expect(refusalOf(gateway.pinhole({ host: DEVICE, internalPort: 8081 })).code).toBe("QUOTA_EXCEEDED");
    expect(tableGet(gateway.state.usages, usageKey("lan0", DEVICE))?.mappingIds).toHaveLength(2);
    mapped(gateway.pinhole({ device: NEIGHBOUR }));
    mapped(gateway.pinhole({ device: "2001:db8:77::4" }));
    expect(refusalOf(gateway.pinhole({ device: "2001:db8:77::5" })).code).toBe("QUOTA_EXCEEDED");
    expect(tableGet(gateway.state.usages, usageKey("lan0", UNKNOWN_HOST))?.mappingIds).toHaveLength(2);
  });

  it("[P7] [P11] are refused to hosts that nobody knows where not every one may open ports", () => {
    const gateway = new Router();
    gateway.append([event("interface.observed", { name: "lan0", up: true, addresses: LAN, gateway: null })]);
    const ask = (host: string | null, device = HOST) => gateway.map({ device, host });
    gateway.device("tv", {
      subnet: null,
      interface: "lan0",
      address: DEVICE,
      publicKey: null,
      ports: "off",
      privateKeySecret: null,
      presharedKeySecret: null,
    });
    expect(refusalOf(ask(null)).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(ask(DEVICE)).code).toBe("NOT_AUTHORIZED");
    mapped(ask("192.168.77.3", NEIGHBOUR));
    // And with its right goes what it opened.
    gateway.do({ type: "device.edit", id: gateway.find("tv").id, ports: "auto" });
    const { mappingId } = mapped(ask(DEVICE));
    gateway.do({ type: "device.edit", id: gateway.find("tv").id, ports: "off" });
    expect(tableGet(gateway.state.mappings, mappingId)).toBeUndefined();
    expect(pinholesOf(gateway.state).map(({ internalAddress }) => internalAddress)).toEqual([NEIGHBOUR]);
  });

  it("[P7] [P11] hosts that nobody knows are refused without a look at each device there is", () => {
    const gateway = new Router();
    gateway.append([event("interface.observed", { name: "lan0", up: true, addresses: LAN, gateway: null })]);
    gateway.device("nas");
    const some = gateway.find("nas");
    const state = forkState(gateway.state);
    let looks = 0;
    for (let number = 0; number < 500; number += 1) {
      const device = { ...some, id: `d${number}`, subnet: null, interface: "lan0", ports: "auto" as const };
      Object.defineProperty(device, "ports", { get: () => ((looks += 1), number === 499 ? "off" : "auto") });
      tableSet(state.devices, device.id, device);
    }
    const served = servedInterface(state, "lan0") as Served;
    sealState(state);
    const ask = (fork = forkState(state)) => hostBehind(fork, served, HOST, null);
    expect(ask()).toMatchObject({ code: "NOT_AUTHORIZED" });
    expect(looks).toBeGreaterThan(0);
    looks = 0;
    expect(ask()).toMatchObject({ code: "NOT_AUTHORIZED" });
    expect(looks).toBe(0);
    // What this very commit group changed counts, and is forgotten with it.
    const fork = forkState(state);
    tableDelete(fork.devices, "d499");
    expect(ask(fork)).toEqual({ device: undefined, host: UNKNOWN_HOST });
    expect(ask()).toMatchObject({ code: "NOT_AUTHORIZED" });
    expect(looks).toBeLessThan(10);
  });

  it("[P7] that an operator keeps for a device of a LAN go with the device, and come back with it", () => {
    const gateway = new Router();
    gateway.append([event("interface.observed", { name: "lan0", up: true, addresses: LAN, gateway: null })]);
    const onLan = {
      subnet: null,
      interface: "lan0",
      publicKey: null,
      privateKeySecret: null,
      presharedKeySecret: null,
    };
    gateway.device("nas", { ...onLan, address: DEVICE });
    const { mappingId } = mapped(gateway.map({ device: HOST, host: DEVICE }));
    mapped(gateway.map({ device: NEIGHBOUR, host: OTHER_DEVICE }));
    gateway.do({ type: "port.keep", id: mappingId });
    gateway.unmap({ device: HOST });
    const [before, hash, from] = [gateway.state, contentHash(gateway.state), gateway.records.length];
    const id = gateway.find("nas").id;
    expect(eventsOf(gateway.do({ type: "device.remove", id }, "api:socket"))).toEqual([
      "lease.released",
      "device.removed",
    ]);
    expect(pinholesOf(gateway.state).map(({ internalAddress }) => internalAddress)).toEqual([NEIGHBOUR]);
    const change = { before, records: gateway.records.slice(from), later: [] };
    gateway.do({ type: "change.revert", change }, "api:socket");
    expect(contentHash(gateway.state)).toBe(hash);
    // Kept and gone within one commit group.
    const fork = forkState(gateway.state);
    tableDelete(fork.mappings, mappingId);
    expect(mappingsOf(fork, gateway.find("nas"))).toEqual([]);
    expect(mappingsOf(gateway.state, gateway.find("nas")).map((mapping) => mapping.id)).toEqual([mappingId]);
  });

  it("[P7] [W7] of a device on a subnet are its own address's, and go with that", () => {
    const gateway = new Router();
    const prefix = "2001:db8:5:1:59::/80";
    const subnet = gateway.idOfSubnet("home");
    gateway.do({
      type: "subnet.edit",
      id: subnet,
      ipv6Prefix: prefix,
      routes: [{ prefix: "::/0", interface: "wan0" }],
    });
    gateway.device("nas");
    const nas = gateway.find("nas");
    const address = deviceIpv6(gateway.state, nas) ?? "";
    expect(deviceAtIpv6(gateway.state, address)?.id).toBe(nas.id);
    expect(deviceAtIpv6(gateway.state, "2001:db8:5:1:59::1")).toBeUndefined();
    const ask = (device: string) => gateway.map({ interface: "wg0", device, internalPort: 8080 });
    expect(refusalOf(ask("2001:db8:5:1:59::ffff")).code).toBe("NOT_AUTHORIZED");
    const { mappingId } = mapped(ask(address));
    expect(tableGet(gateway.state.mappings, mappingId)?.host).toBe(nas.address);
    // Another WAN moves no pinhole; another prefix ends it.
    gateway.do({ type: "device.edit", id: nas.id, wan: "wan1" });
    expect(tableGet(gateway.state.mappings, mappingId)?.wan).toBe(address);
    expect(eventsOf(gateway.do({ type: "subnet.edit", id: subnet, ipv6Prefix: null }))).toEqual([
      "lease.released",
      "subnet.changed",
    ]);
    expect([...tableRows(gateway.state.mappings)]).toEqual([]);
  });

  it("[P7] end all of one address's, and nothing of the same host's others", () => {
    const gateway = new Ipv6Gateway();
    mapped(gateway.map());
    mapped(gateway.pinhole({ host: DEVICE }));
    mapped(gateway.pinhole({ host: DEVICE, internalPort: 8081 }));
    mapped(gateway.pinhole({ device: NEIGHBOUR, host: DEVICE }));
    const all = { ...unmapRequest(), protocol: 0, internalPort: 0 };
    expect(eventsOf(gateway.do({ ...all, device: HOST }))).toEqual(["lease.released", "lease.released"]);
    expect(eventsOf(gateway.do({ ...all, device: DEVICE }))).toEqual(["lease.released"]);
    expect(pinholesOf(gateway.state).map(({ internalAddress }) => internalAddress)).toEqual([NEIGHBOUR]);
    // Whichever host it was known to be when it asked.
    mapped(gateway.pinhole({ host: DEVICE }));
    mapped(gateway.pinhole({ host: OTHER_DEVICE, internalPort: 8081 }));
    expect(eventsOf(gateway.do({ ...all, device: HOST }))).toEqual(["lease.released", "lease.released"]);
    // Nor does UPnP see any of it.
    expect(eventsOf(gateway.do(upnpMap({ externalPort: 9000, internalPort: 9000 })))).toEqual(["mapping.granted"]);
  });

  it("[P7] [F2] are kept, blocked, disabled and ended by operators, and moved by none", () => {
    const gateway = new Ipv6Gateway();
    const { mappingId: id } = mapped(gateway.pinhole());
    gateway.do({ type: "port.keep", id });
    gateway.unmap({ device: HOST });
    expect(rowsOf(gateway)).toEqual([`pinhole|${HOST}|tcp|8080`]);
    for (const edit of [
      { externalPort: 9000 },
      { internalAddress: DEVICE },
      { from: ["203.0.113.0/24"] },
      { sourceAddress: "gateway" as const },
    ]) {
      expect(refusalOf(gateway.do({ type: "port.edit", id, ...edit })).code).toBe("INVALID_REQUEST");
    }
    gateway.do({ type: "port.edit", id, enabled: false });
    expect(rowsOf(gateway)).toEqual([]);
    expect(refusalOf(gateway.pinhole()).code).toBe("NOT_AUTHORIZED");
    gateway.do({ type: "port.block", id });
    expect(refusalOf(gateway.pinhole()).code).toBe("BLOCKED");
    expect(select(gateway.state).get(`severed|${HOST}|tcp|8080`)?.spec).toMatchObject({ address: HOST, port: 8080 });
    gateway.do({ type: "port.unblock", device: HOST, protocol: "tcp", internalPort: 8080 });
    const again = mapped(gateway.pinhole());
    // Whoever holds it now was let have it.
    expect(select(gateway.state).get(`severed|${HOST}|tcp|8080`)).toBeUndefined();
    gateway.later(7200).do({ type: "leases.expire" });
    expect(tableGet(gateway.state.mappings, again.mappingId)).toBeUndefined();
    expect(NONCE).not.toBe(OTHER_NONCE);
  });
});
