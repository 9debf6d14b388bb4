import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { selectRoutes } from "../../../src/reducers/select/route-rows.ts";
import { eventsOf, portAdd, refusalOf } from "./given.ts";
import { keyOf, Router, secretOf } from "./router.ts";

describe("[W1] a subnet", () => {
  it("has the first host of its network for the gateway, whatever address of it was named", () => {
    const router = new Router();
    router.subnet("lab", "10.60.4.77/22");
    expect(router.state.subnets[router.idOfSubnet("lab")]?.prefix).toBe("10.60.4.1/22");
  });

  it("gets a prefix of 10.59.0.0/16 that nothing uses if none is named: the same whenever it is asked", () => {
    const chosen = (taken: string[], entropy: number, key = 1): number => {
      const router = new Router();
      router.append([event("wireguard.keyed", { publicKey: keyOf(key), privateKeySecret: secretOf(1) })]);
      const routes = taken.map((prefix) => ({ prefix, interface: "docker0" }));
      const auto = {
        name: "auto",
        prefix: null,
        wan: null,
        ipv6Prefix: null,
        dns: { mode: "system" },
        routes,
      } as const;
      router.do({ type: "subnet.add", ...auto }, "test", entropy);
      const prefix = router.state.subnets[router.idOfSubnet("auto")]?.prefix ?? "";
      return Number(/^10\.59\.(\d+)\.1\/24$/.exec(prefix)?.[1]);
    };
    const first = chosen([], 0);
    expect(chosen([], 7), "a plan draws nothing").toBe(first);
    expect(chosen([`10.59.${first}.0/24`], 7)).toBe((first + 1) % 256);
    expect(new Set([1, 2, 3, 4].map((key) => chosen([], 0, key))).size, "another gateway has another").toBeGreaterThan(
      1,
    );
  });

  it.each([
    ["10.59.7.128/25", "home"],
    ["10.59.0.0/16", "home"],
    ["192.168.77.0/24", "lan0"],
    ["11.22.33.0/28", "wan0"],
    ["172.17.0.0/20", "docker0"],
  ])("%s is refused, as it overlaps what is called %s", (prefix, name) => {
    const router = new Router();
    const routes = [{ prefix: "172.17.0.0/16", interface: "docker0" }];
    const decision = router.subnet("other", prefix, { routes });
    expect(refusalOf(decision).code).toBe("CONFLICT");
    expect(decision.ok ? "" : decision.refusal.message).toContain(name);
  });

  it.each([
    [["9.9.9.9", "dns.quad9.net"], "give its address"],
    [["[/corp.example/]10.0.0.1"], "no upstream for all names"],
  ])("%j are no upstreams: the refusal says why, and nothing is added", (servers, why) => {
    const router = new Router();
    const decision = router.subnet("other", "10.61.0.0/24", { dns: { mode: "custom", servers } });
    expect(refusalOf(decision).code).toBe("INVALID_REQUEST");
    expect(decision.ok ? "" : decision.refusal.message).toContain(why);
  });

  it("hides no route but the default one, which every prefix is more specific than", () => {
    const router = new Router();
    const routes = [{ prefix: "0.0.0.0/0", interface: "wan0" }];
    expect(eventsOf(router.subnet("other", "10.61.0.0/24", { routes }))).toEqual(["subnet.added"]);
  });

  it("takes the network of one that is gone, whatever our own interface had when it was last looked at", () => {
    const router = new Router();
    const name = router.state.settings.wireguard?.interface ?? "";
    router.do({ type: "interface.observe", name, up: true, addresses: ["10.61.0.1/24"], gateway: null });
    expect(eventsOf(router.subnet("other", "10.61.0.0/24"))).toEqual(["subnet.added"]);
  });

  it.each(["10.61.0.1/32", "10.61.0.0/31", "10.0.0.0/7", "10.61.0.0", "nonsense/24"])("%s is no subnet", (prefix) => {
    expect(refusalOf(new Router().subnet("other", prefix)).code).toBe("INVALID_REQUEST");
  });

  it("has a name of its own", () => {
    expect(refusalOf(new Router().subnet("HOME", "10.61.0.0/24")).code).toBe("CONFLICT");
  });

  it("is renamed, and nothing else changes", () => {
    const router = new Router();
    router.device("nas");
    const decision = router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), name: "house" });
    expect(eventsOf(decision)).toEqual(["subnet.changed"]);
    expect(router.find("nas").subnet).toBe(router.idOfSubnet("house"));
  });

  it("takes a WAN that is an interface or an address of one, and no other", () => {
    const router = new Router();
    const id = router.idOfSubnet("home");
    for (const wan of ["wan1", "11.22.33.9", null]) expect(router.do({ type: "subnet.edit", id, wan }).ok).toBe(true);
    expect(refusalOf(router.do({ type: "subnet.edit", id, wan: "8.8.8.8" })).code).toBe("INVALID_REQUEST");
    expect(refusalOf(router.do({ type: "subnet.edit", id, wan: "eth7" })).code).toBe("INVALID_REQUEST");
  });

  it("takes what is forwarded to its devices along to another WAN, or says what stands in the way", () => {
    const router = new Router();
    router.device("nas");
    router.ask("nas", { internalPort: 8080 });
    router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: "wan1" });
    expect([...router.records].at(-1)?.event.type).toBe("mapping.changed");
    router.do(portAdd({ externalPort: 8080, internalAddress: "192.168.77.9", wan: "wan0" }));
    const back = router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: "wan0" });
    expect(refusalOf(back).code).toBe("PORT_TAKEN");
    expect(back.ok ? "" : back.refusal.message).toContain("192.168.77.9");
  });

  it("takes nothing along to where it would have to share a port that is not to be shared", () => {
    const router = new Router();
    router.do(portAdd({ externalPort: 443, internalAddress: "192.168.77.9", wan: "wan0", name: "a.example.org" }));
    router.do(portAdd({ externalPort: 8443, internalAddress: "192.168.77.9", wan: "wan0", from: ["203.0.113.0/24"] }));
    router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: "wan1" });
    router.device("nas");
    const internalAddress = router.find("nas").address;
    router.do(portAdd({ externalPort: 440, count: 8, internalAddress, wan: "wan1" }));
    router.do(portAdd({ externalPort: 8443, internalAddress, wan: "wan1", name: "b.example.org" }));
    const back = router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: "wan0" });
    expect(refusalOf(back).code).toBe("PORT_TAKEN");
    expect(back.ok ? [] : back.refusal.conflicts).toHaveLength(2);
  });

  it("takes nothing along to where two of what it takes would have one port, or one that is not to be shared", () => {
    const router = new Router();
    const other = "11.22.33.9";
    for (const [name, wan, shared] of [
      ["nas", "wan0", { name: "a.example.org" }],
      ["tv", "wan1", { from: ["203.0.113.0/24"] }],
    ] as const) {
      router.device(name);
      const internalAddress = router.find(name).address;
      router.do(portAdd({ externalPort: 8443, internalAddress, wan }));
      router.do(portAdd({ externalPort: 443, internalAddress, wan, ...shared }));
    }
    const moved = router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: other });
    expect(refusalOf(moved).code).toBe("PORT_TAKEN");
    expect(moved.ok ? [] : moved.refusal.conflicts).toHaveLength(2);
  });

  it("goes with its devices and all that leads to them", () => {
    const router = new Router();
    router.device("nas");
    router.device("box");
    router.ask("nas");
    router.do(portAdd({ internalAddress: router.find("box").address }));
    const decision = router.do({ type: "subnet.remove", id: router.idOfSubnet("home") });
    expect(eventsOf(decision)).toEqual([
      "lease.released",
      "device.removed",
      "lease.released",
      "device.removed",
      "subnet.removed",
    ]);
    expect([router.state.mappings.size, router.state.devices.size, router.state.tunnelled]).toEqual([0, 0, 0]);
  });

  it("has addresses on the interface only while a device is on one", () => {
    const router = new Router();
    const select = selectRoutes();
    expect([...select(router.state).rows()]).toEqual([]);
    router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), ipv6Prefix: "fd12:3456::/64" });
    router.device("nas");
    expect([...select(router.state).rows()].map((row) => row.key)).toEqual([
      "address|wg0|10.59.7.1/24",
      "address|wg0|fd12:3456::a3b:701/64",
    ]);
  });
});
