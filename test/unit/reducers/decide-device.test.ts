import { describe, expect, it } from "vitest";
import { tableRows } from "../../../src/lib/table.ts";
import { selectGuard } from "../../../src/reducers/select/guard-rows.ts";
import { selectSecrets } from "../../../src/reducers/select/secret-rows.ts";
import { selectWireguard } from "../../../src/reducers/select/wireguard-rows.ts";
import { eventsOf, mapped, portAdd, refusalOf } from "./given.ts";
import { keyOf, OWN_KEY, Router } from "./router.ts";

const idAt = (router: Router, address: string): string =>
  [...tableRows(router.state.mappings)].find(({ internalAddress }) => internalAddress === address)?.id ?? "";

describe("[W2] a device", () => {
  it("gets the first free address of its subnet", () => {
    const router = new Router();
    router.device("nas");
    router.device("box", { address: "10.59.7.3" });
    router.device("pad");
    expect(["nas", "box", "pad"].map((name) => router.find(name).address)).toEqual([
      "10.59.7.2",
      "10.59.7.3",
      "10.59.7.4",
    ]);
  });

  it.each(["10.59.7.0", "10.59.7.255", "10.59.7.1", "10.59.8.2", "127.0.0.1"])(
    "is refused the address %s",
    (address) => {
      expect(refusalOf(new Router().device("nas", { address })).code).toBe("INVALID_REQUEST");
    },
  );

  it("may have an address that ends in 0 or 255 where that is no end of the subnet", () => {
    const router = new Router();
    router.subnet("wide", "10.64.0.0/22");
    const subnet = router.idOfSubnet("wide");
    expect(router.device("one", { subnet, address: "10.64.1.0" }).ok).toBe(true);
    expect(router.device("two", { subnet, address: "10.64.0.255" }).ok).toBe(true);
    expect(refusalOf(router.device("six", { subnet, address: "10.64.3.255" })).code).toBe("INVALID_REQUEST");
  });

  it("has a name, an address and a key of its own", () => {
    const router = new Router();
    router.device("nas");
    expect(refusalOf(router.device("nas")).code).toBe("CONFLICT");
    expect(refusalOf(router.device("box", { address: "10.59.7.2" })).code).toBe("CONFLICT");
    expect(refusalOf(router.device("box", { publicKey: router.find("nas").publicKey })).code).toBe("CONFLICT");
    expect(refusalOf(router.device("box", { publicKey: OWN_KEY })).code).toBe("INVALID_REQUEST");
    expect(refusalOf(router.device("box", { presharedKeySecret: null })).code).toBe("INVALID_REQUEST");
  });

  it("is on a served LAN by its address, without keys", () => {
    const router = new Router();
    const lan = { subnet: null, interface: "lan0", publicKey: null, privateKeySecret: null, presharedKeySecret: null };
    expect(router.device("tv", { ...lan, address: "192.168.77.20" }).ok).toBe(true);
    expect(router.state.tunnelled).toBe(0);
    expect(refusalOf(router.device("pc", { ...lan, interface: "lan7", address: "192.168.77.21" })).code).toBe(
      "INVALID_REQUEST",
    );
  });

  it("of kind server may open ports and publish names, a client neither; another kind resets both", () => {
    const router = new Router();
    router.device("nas");
    router.device("pad", { kind: "client" });
    expect([router.find("nas").ports, router.find("pad").ports]).toEqual(["auto", "off"]);
    router.edit("nas", { dns: "off" });
    router.edit("nas", { kind: "client" });
    router.edit("pad", { kind: "server" });
    expect([router.find("nas"), router.find("pad")].map(({ ports, dns }) => [ports, dns])).toEqual([
      ["off", "off"],
      ["auto", "auto"],
    ]);
  });

  it("goes with all that leads to it, the operator's too, and its peer and secrets with it", () => {
    const router = new Router();
    router.device("nas");
    router.device("box");
    router.ask("nas", { internalPort: 80 });
    router.do(portAdd({ internalAddress: router.find("nas").address }));
    const { id, publicKey, presharedKeySecret } = router.find("nas");
    const decision = router.do({ type: "device.remove", id });
    expect(eventsOf(decision)).toEqual(["lease.released", "lease.released", "device.removed"]);
    expect(selectWireguard()(router.state).get(`peer|${publicKey}`)).toBeUndefined();
    expect(selectSecrets()(router.state).get(presharedKeySecret as string)).toBeUndefined();
    expect(router.state.mappings.size).toBe(0);
  });

  it("with an end goes by itself, the others stay", () => {
    const router = new Router();
    router.device("guest", { lifetime: 3600 });
    router.device("nas");
    router.later(3599);
    expect(eventsOf(router.do({ type: "devices.expire" }))).toEqual([]);
    router.later(1);
    expect(eventsOf(router.do({ type: "devices.expire" }))).toEqual(["device.removed"]);
    expect(router.state.devices.size).toBe(1);
  });

  it("takes an operator's forwards along to another address and another WAN by one edit", () => {
    const router = new Router();
    router.device("nas");
    router.ask("nas");
    const { address } = router.find("nas");
    router.do(portAdd({ externalPort: 443, internalAddress: address }));
    const edit = { address: "10.59.7.50", wan: "wan1" };
    router.do(portAdd({ externalPort: 443, internalAddress: "192.168.77.9", wan: "wan1" }));
    expect(refusalOf(router.edit("nas", edit)).code).toBe("PORT_TAKEN");
    router.do({ type: "port.remove", id: idAt(router, "192.168.77.9") });
    // What it asked for itself ends with its address, and is in nobody's way.
    router.do(portAdd({ externalPort: 8080, internalAddress: "192.168.77.9", wan: "wan1" }));
    expect(router.edit("nas", edit).ok).toBe(true);
    const there = [...tableRows(router.state.mappings)].find(({ externalPort }) => externalPort === 443);
    expect(there).toMatchObject({ internalAddress: "10.59.7.50", wan: "wan1" });
  });

  it("moves to no WAN where two of its own ports would be one", () => {
    const router = new Router();
    router.device("nas");
    const { address: internalAddress } = router.find("nas");
    for (const wan of ["wan0", "wan1"]) router.do(portAdd({ internalAddress, wan }));
    expect(refusalOf(router.edit("nas", { wan: "11.22.33.9" })).code).toBe("PORT_TAKEN");
  });

  it("keeps an operator's forwards when its address changes, and asks anew for its own", () => {
    const router = new Router();
    router.device("nas");
    router.ask("nas", { internalPort: 80 });
    router.do(portAdd({ internalAddress: "10.59.7.2" }));
    expect(eventsOf(router.edit("nas", { address: "10.59.7.50" }))).toEqual([
      "lease.released",
      "mapping.changed",
      "device.changed",
    ]);
    expect(router.state.mappings.size).toBe(1);
  });
});

describe("[P11] what a device asks for", () => {
  it("is given to a server and refused to a client and to strangers", () => {
    const router = new Router();
    router.device("nas");
    router.device("pad", { kind: "client" });
    expect(mapped(router.ask("nas")).externalPort).toBe(8080);
    expect(refusalOf(router.ask("pad")).code).toBe("NOT_AUTHORIZED");
    expect(refusalOf(router.map({ interface: "wg0", device: "10.59.7.99" })).code).toBe("NOT_AUTHORIZED");
  });

  it("says of each yes that it goes with the device, so that a plan shows it", () => {
    const router = new Router();
    router.device("pad", { ports: "ask" });
    const { id } = router.find("pad");
    router.do({ type: "device.allow", id, protocol: "tcp", internalPort: 8080, allowed: true });
    expect(eventsOf(router.do({ type: "device.remove", id }))).toEqual(["allowance.withdrawn", "device.removed"]);
  });

  it("works the moment it is allowed, and ends the moment it is not", () => {
    const router = new Router();
    router.device("pad", { kind: "client" });
    router.edit("pad", { ports: "auto" });
    expect(mapped(router.ask("pad")).externalPort).toBe(8080);
    expect(eventsOf(router.edit("pad", { ports: "off" }))).toEqual(["lease.released", "device.changed"]);
    expect(router.state.mappings.size).toBe(0);
  });

  it("waits for a yes where it has to ask, and is given at the next try", () => {
    const router = new Router();
    router.device("pad", { kind: "client", ports: "ask" });
    expect(refusalOf(router.ask("pad")).code).toBe("APPROVAL_PENDING");
    const allow = { type: "device.allow", id: router.find("pad").id, protocol: "tcp", internalPort: 8080 } as const;
    router.do({ ...allow, allowed: true });
    expect(mapped(router.ask("pad")).externalPort).toBe(8080);
    expect(refusalOf(router.ask("pad", { internalPort: 81 })).code).toBe("APPROVAL_PENDING");
    expect(eventsOf(router.do({ ...allow, allowed: false }))).toEqual(["lease.released", "allowance.withdrawn"]);
    expect(refusalOf(router.ask("pad")).code).toBe("APPROVAL_PENDING");
  });

  it("is on the device's WAN, its subnet's, or the preferred one", () => {
    const router = new Router();
    router.device("nas");
    expect(mapped(router.ask("nas", { internalPort: 1001 })).externalAddress).toBe("11.22.33.1");
    router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: "wan1" });
    expect(mapped(router.ask("nas", { internalPort: 1002 })).externalAddress).toBe("11.22.44.1");
    router.edit("nas", { wan: "11.22.33.9" });
    expect(mapped(router.ask("nas", { internalPort: 1003 })).externalAddress).toBe("11.22.33.9");
    // An address that is an interface's first is that interface: no port is given twice.
    router.edit("nas", { wan: "11.22.33.1" });
    router.ask("nas", { internalPort: 1004 });
    expect(router.records.at(-1)?.event.data).toMatchObject({ wan: "wan0" });
  });
});

describe("the WireGuard rows", () => {
  it("are none while no device is on a subnet, then one for us and one a device", () => {
    const router = new Router();
    const select = selectWireguard();
    const guard = selectGuard("0123456789abcdef");
    expect([...select(router.state).rows()]).toEqual([]);
    router.device("nas", { publicKey: keyOf(77) });
    expect([...select(router.state).rows()].map((row) => row.key)).toEqual(["link", `peer|${keyOf(77)}`]);
    expect(select(router.state).get(`peer|${keyOf(77)}`)?.spec).toMatchObject({ allowedIps: ["10.59.7.2/32"] });
    expect(guard(router.state).get("guard")?.spec).toMatchObject({ lans: ["lan0", "wg0"] });
    router.do({ type: "device.remove", id: router.find("nas").id });
    expect([...select(router.state).rows()]).toEqual([]);
    expect(guard(router.state).get("guard")?.spec).toMatchObject({ lans: ["lan0"] });
  });

  it("name every row that differs from the table before", () => {
    const router = new Router();
    const select = selectWireguard();
    router.device("nas");
    const before = select(router.state);
    router.device("box");
    const after = select(router.state);
    expect([...(after.changedSince(before) ?? [])]).toEqual([`peer|${router.find("box").publicKey}`]);
  });
});
