import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { tableGet } from "../../../src/lib/table.ts";
import type { UpnpPinhole } from "../../../src/reducers/decide/upnp-pinhole.ts";
import { pinholeOf } from "../../../src/reducers/upnp-pinholes.ts";
import { pinholesOf } from "../../../src/reducers/pinholes.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { upnpFirewall } from "../../../src/reducers/select/upnp-firewall.ts";
import { DEVICE, eventsOf, Gateway, mapped, OTHER_DEVICE, refusalOf } from "./given.ts";

const HOST = "2001:db8:77::2";
const FRIEND = "2001:db8:33::9";

class Ipv6Gateway extends Gateway {
  constructor(...settings: ConstructorParameters<typeof Gateway>) {
    super(...settings);
    const addresses = ["192.168.77.1/24", "2001:db8:77::1/64"];
    this.append([event("interface.observed", { name: "lan0", up: true, addresses, gateway: null })]);
  }

  add(fields: Partial<UpnpPinhole> = {}, entropy = 0x1234_5600) {
    const place = { interface: "lan0", caller: DEVICE, device: HOST, host: DEVICE };
    const what = { protocol: 6, internalPort: 8080, remoteHost: null, remotePort: null, lifetime: 3600 };
    return this.do({ type: "upnpPinhole", ...place, ...what, ...fields }, `upnp:${DEVICE}`, entropy);
  }

  update(uniqueId: number, lifetime: number, caller = DEVICE, host: string | null = caller) {
    return this.do({ type: "upnpPinholeUpdate", interface: "lan0", caller, uniqueId, host, lifetime });
  }

  delete(uniqueId: number, caller = DEVICE) {
    return this.do({ type: "upnpPinholeDelete", interface: "lan0", caller, uniqueId });
  }

  rows(): string[] {
    const rows = [...selectForwards("0123456789abcdef")(this.state).rows()];
    return rows
      .map(({ key }) => key)
      .filter((key) => key.startsWith("pinhole"))
      .sort();
  }
}

const idOf = (decision: ReturnType<Ipv6Gateway["add"]>): number =>
  Number(mapped(decision).claimKey?.replace("upnp:pinhole:", ""));

describe("UPnP pinholes", () => {
  it("[P9] PINH-03 have a number of their own, which asking for the same again does not change", () => {
    const gateway = new Ipv6Gateway();
    const id = idOf(gateway.add());
    expect(id).toBe(0x3456);
    const again = gateway.later(600).add({ lifetime: 3000 }, 1);
    expect([idOf(again), eventsOf(again)]).toEqual([id, []]);
    // The first choice is taken, the next one is not.
    const other = idOf(gateway.add({ internalPort: 8081 }));
    expect(other).toBe(id + 1);
    expect(pinholeOf(gateway.state, { interface: "lan0", caller: DEVICE }, other)?.mapping.internalPort).toBe(8081);
    expect(gateway.rows()).toEqual([`pinhole|${HOST}|tcp|8080`, `pinhole|${HOST}|tcp|8081`]);
  });

  it("[P9] of several peers are several, of one port, and let in each of them alone", () => {
    const gateway = new Ipv6Gateway();
    const ids = [
      gateway.add({ remoteHost: FRIEND }),
      gateway.add({ remoteHost: FRIEND, remotePort: 5060 }),
      gateway.add({ remotePort: 7000 }),
    ].map(idOf);
    expect(new Set(ids).size).toBe(3);
    expect(pinholesOf(gateway.state)).toHaveLength(1);
    expect(gateway.rows()).toEqual([
      `pinholeFromPort|${HOST}|tcp|8080|::/0|7000`,
      `pinholeFrom|${HOST}|tcp|8080|${FRIEND}/128`,
    ]);
    expect(eventsOf(gateway.delete(ids[2] as number))).toEqual(["lease.released"]);
    expect(gateway.rows()).toEqual([`pinholeFrom|${HOST}|tcp|8080|${FRIEND}/128`]);
    // By PCP the same port is one claim more, with an end of its own.
    mapped(gateway.map({ device: HOST, host: DEVICE }));
    expect(gateway.rows()).toEqual([`pinhole|${HOST}|tcp|8080`]);
    gateway.unmap({ device: HOST });
    expect(gateway.rows()).toHaveLength(1);
  });

  it("[P9] PINH-04 PINH-05 are for addresses that are known to be of the host that asks, and for no port below 1024", () => {
    const gateway = new Ipv6Gateway();
    const codeOf = (fields: Partial<UpnpPinhole>): string => refusalOf(gateway.add(fields)).code;
    expect(codeOf({ host: null })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ host: OTHER_DEVICE })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ caller: OTHER_DEVICE })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: "2001:db8:77::1" })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: "fd00::2" })).toBe("NOT_AUTHORIZED");
    // Outside of the LAN; the gateway's neighbour in a network that it is about to hear of is asked to try again.
    const elsewhere = "2001:db8:99::2";
    expect(codeOf({ device: elsewhere, host: null })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: elsewhere, host: OTHER_DEVICE })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ device: elsewhere })).toBe("NO_EXTERNAL_ADDRESS");
    expect(codeOf({ internalPort: 443 })).toBe("NOT_AUTHORIZED");
    expect(codeOf({ protocol: 132 })).toBe("UNSUPPORTED_PROTOCOL");
    expect(codeOf({ protocol: 17, internalPort: 5351 })).toBe("NOT_AUTHORIZED");
    expect(pinholesOf(gateway.state)).toEqual([]);
  });

  it("[P9] are lengthened and ended by their own host alone, and end by themselves", () => {
    const gateway = new Ipv6Gateway();
    const { mappingId, claimKey } = mapped(gateway.add({ lifetime: 600 }));
    const id = Number(claimKey?.replace("upnp:pinhole:", ""));
    for (const decision of [
      gateway.update(id, 60, OTHER_DEVICE),
      gateway.delete(id, OTHER_DEVICE),
      gateway.delete(id + 1),
    ]) {
      expect(refusalOf(decision).code).toBe("NOT_FOUND");
    }
    expect(eventsOf(gateway.update(id, 7200))).toEqual(["lease.changed"]);
    gateway.later(3600).do({ type: "leases.expire" });
    expect(tableGet(gateway.state.mappings, mappingId)?.claims[0]?.lifetime).toBe(7200);
    expect(upnpFirewall.pinholeAddress(gateway.state, { interface: "lan0", device: DEVICE }, id)).toBe(HOST);
    gateway.later(3601).do({ type: "leases.expire" });
    expect(gateway.rows()).toEqual([]);
    expect(upnpFirewall.pinholeAddress(gateway.state, { interface: "lan0", device: DEVICE }, id)).toBeNull();
  });

  it("[P9] are there to be had where the host's network has IPv6", () => {
    const caller = { interface: "lan0", device: DEVICE };
    expect(upnpFirewall.statusOf(new Ipv6Gateway().state, caller)).toEqual({ enabled: true, pinholes: true });
    expect(upnpFirewall.statusOf(new Gateway().state, caller)).toEqual({ enabled: true, pinholes: false });
    const elsewhere = { ...caller, interface: "lan9" };
    expect(upnpFirewall.statusOf(new Gateway().state, elsewhere)).toEqual({ enabled: false, pinholes: false });
  });

  it("[P9] PINH-05 are not lengthened by a host whose IPv6 address has become another's", () => {
    const gateway = new Ipv6Gateway();
    const id = idOf(gateway.add());
    expect(refusalOf(gateway.update(id, 7200, DEVICE, OTHER_DEVICE)).code).toBe("NOT_AUTHORIZED");
    expect(eventsOf(gateway.update(id, 7200, DEVICE, null)), "asleep over IPv6").toEqual(["lease.changed"]);
    expect(eventsOf(gateway.delete(id))).toEqual(["lease.released"]);
  });

  it("[P11] are not lengthened by whom a new one would be refused", () => {
    const gateway = new Ipv6Gateway();
    const id = idOf(gateway.add());
    const nothing = {
      subnet: null,
      publicKey: null,
      privateKeySecret: null,
      presharedKeySecret: null,
      dns: null,
      wan: null,
      lifetime: null,
      profile: null,
    };
    gateway.do({
      type: "device.add",
      name: "tv",
      kind: "client",
      interface: "lan0",
      address: DEVICE,
      ports: "off",
      ...nothing,
    });
    gateway.later(600);
    expect(refusalOf(gateway.update(id, 3600)).code).toBe("NOT_AUTHORIZED");
    expect(gateway.delete(id).ok, "what is there ends by its owner's word").toBe(true);
  });
});
