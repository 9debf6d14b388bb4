import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { selectRoutes } from "../../../src/reducers/select/route-rows.ts";
import { selectSysctls } from "../../../src/reducers/select/sysctl-rows.ts";
import type { KnownRoute } from "../../../src/reducers/decide/subnet.ts";
import { refusalOf, WAN_ADDRESS } from "./given.ts";
import { messageOf } from "./remembering.ts";
import { Router } from "./router.ts";

const ON_LINK = "2001:db8:5:1::/64";
const PART = "2001:db8:5:1:59::/80";
const WAN_IPV6 = "2001:db8:5:1::7/64";

/** The router's WAN has an address of its own in a /64. */
function router(addresses: readonly string[] = [WAN_IPV6]): Router {
  const made = new Router();
  observe(made, "wan0", [`${WAN_ADDRESS}/24`, ...addresses]);
  return made;
}

const observe = (made: Router, name: string, addresses: readonly string[]): void =>
  made.append([event("interface.observed", { name, up: true, addresses: [...addresses], gateway: null })]);

const give = (made: Router, ipv6Prefix: string | null, routes: readonly KnownRoute[] = []) =>
  made.do({ type: "subnet.edit", id: made.idOfSubnet("home"), ipv6Prefix, routes });

describe("[W7] the IPv6 prefix of a subnet", () => {
  it("is kept as its network, in canonical form", () => {
    const made = router();
    give(made, "2001:DB8:7:0::12/64");
    expect(made.state.subnets[made.idOfSubnet("home")]?.ipv6Prefix).toBe("2001:db8:7::/64");
    const { seq } = made.state;
    expect(give(made, "2001:db8:7::/64").ok).toBe(true);
    expect(made.state.seq).toBe(seq);
  });

  it.each([
    ["2001:db8:7::/97", /32 bits of its own/],
    ["2001:db8::/28", /large part/],
    ["fe80::/64", /neither global/],
    ["ff05::/64", /neither global/],
    ["64:ff9b::/96", /neither global/],
  ])("%s is refused", (prefix, why) => {
    const decision = give(router(), prefix);
    expect(refusalOf(decision).code).toBe("INVALID_REQUEST");
    expect(messageOf(decision)).toMatch(why);
  });

  it("is nothing that holds the WAN's own address; a part that holds none is proposed, and taken", () => {
    const made = router();
    for (const prefix of [ON_LINK, "2001:db8:5:1::/80", "2001:db8:5::/48"]) {
      const decision = give(made, prefix);
      expect(refusalOf(decision).code).toBe("CONFLICT");
      expect(messageOf(decision)).toContain(`wan0 has ${WAN_IPV6} in it`);
      expect(messageOf(decision)).toContain(`as in ${PART}`);
    }
    expect(give(made, PART).ok).toBe(true);
    made.subnet("lab", "10.60.0.0/24");
    const second = made.do({ type: "subnet.edit", id: made.idOfSubnet("lab"), ipv6Prefix: ON_LINK });
    expect(refusalOf(second).code).toBe("CONFLICT");
    const next = made.subnet("third", "10.61.0.0/24", { ipv6Prefix: "2001:db8:5:1:5a::/80" });
    expect(next.ok).toBe(true);
  });

  it.each<[string, string, KnownRoute[]]>([
    ["2001:db8:8::/64", "lan0", []],
    ["2001:db8:8:0:1::/80", "lan0", []],
    ["2001:db8:9::/64", "docker0", [{ prefix: "2001:db8:9::/64", interface: "docker0" }]],
    ["2001:db8:9::/48", "docker0", [{ prefix: "2001:db8:9:1::/64", interface: "docker0" }]],
    ["fd12::/64", "lab", []],
    ["fd12:0:0:0:1::/80", "lab", []],
  ])("%s overlaps what is called %s", (prefix, name, routes) => {
    const made = router();
    observe(made, "lan0", ["192.168.77.1/24", "2001:db8:8::1/64"]);
    made.subnet("lab", "10.60.0.0/24", { ipv6Prefix: "fd12::/64" });
    const decision = give(made, prefix, routes);
    expect(refusalOf(decision).code).toBe("CONFLICT");
    expect(messageOf(decision)).toContain(name);
    // A new one is refused the same way.
    expect(refusalOf(made.subnet("new", "10.61.0.0/24", { ipv6Prefix: prefix, routes })).code).toBe("CONFLICT");
  });

  it("may lie in a route to a WAN, or to nowhere: so providers and administrators set aside what they give out", () => {
    const routes = [
      { prefix: "::/0", interface: "wan0" },
      { prefix: ON_LINK, interface: "wan0" },
      { prefix: "2001:db8:7::/48", interface: "lo" },
      { prefix: "2001:db8:7:1::/64", interface: "wg0" },
    ];
    expect(give(router(), "2001:db8:7:1::/64", routes).ok).toBe(true);
    expect(give(router(), PART, routes).ok).toBe(true);
  });
});

const neighbours = (select: ReturnType<typeof selectRoutes>, made: Router): string[] =>
  [...select(made.state).rows()].flatMap(({ spec }) =>
    spec.kind === "neighbour" ? [`${spec.interface} ${spec.address}`] : [],
  );

describe("[W7] what the kernel is to have for an IPv6 prefix", () => {
  it("is an answer on the WAN for each device, while the prefix is a part of the WAN's network", () => {
    const made = router();
    const select = selectRoutes();
    made.device("nas");
    expect(neighbours(select, made)).toEqual([]);
    give(made, PART);
    expect(neighbours(select, made)).toEqual(["wan0 2001:db8:5:1:59:0:a3b:702"]);
    made.device("pad");
    expect(neighbours(select, made)).toHaveLength(2);
    const key = "neighbour|wan0|2001:db8:5:1:59:0:a3b:702";
    const row = select(made.state).get(key);
    expect(row).toMatchObject({ key, owners: [made.find("nas").id] });
    expect(select(made.state).get("neighbour|wan1|2001:db8:5:1:59:0:a3b:702")).toBeUndefined();
    expect(select(made.state).get("neighbour|wan0|2001:db8:5:1:60:0:a3b:702")).toBeUndefined();
    // The provider renumbers.
    observe(made, "wan0", [`${WAN_ADDRESS}/24`, "2001:db8:6:1::7/64"]);
    expect(neighbours(select, made)).toEqual([]);
    observe(made, "wan0", [`${WAN_ADDRESS}/24`, WAN_IPV6]);
    give(made, null);
    expect(neighbours(select, made)).toEqual([]);
  });

  it("says of each state which answers differ from the last one's, and looks at nothing else", () => {
    const made = router();
    const select = selectRoutes();
    made.device("nas");
    give(made, PART);
    const before = select(made.state);
    made.device("pad");
    const after = select(made.state);
    expect([...(after.changedSince(before) ?? ["all"])]).toEqual(["neighbour|wan0|2001:db8:5:1:59:0:a3b:703"]);
    made.do({ type: "device.remove", id: made.find("pad").id });
    expect([...(select(made.state).changedSince(after) ?? ["all"])]).toEqual([
      "neighbour|wan0|2001:db8:5:1:59:0:a3b:703",
    ]);
    give(made, null);
    expect(select(made.state).changedSince(after)).toBeNull();
  });

  it("needs no answers where the provider routes the prefix here, nor where nobody does", () => {
    for (const prefix of ["2001:db8:7::/64", "fd12::/64"]) {
      const made = router();
      const select = selectRoutes();
      made.device("nas");
      give(made, prefix);
      expect(neighbours(select, made)).toEqual([]);
      expect([...select(made.state).rows()].map(({ key }) => key)).toContain(
        `address|wg0|${prefix.replace("::/", "::a3b:701/")}`,
      );
    }
  });

  it("is no address where an interface has got one in the prefix since: its own network would be cut off", () => {
    const made = router([]);
    const select = selectRoutes();
    made.device("nas");
    give(made, ON_LINK);
    const addresses = (): string[] => [...select(made.state).rows()].map(({ key }) => key);
    expect(addresses()).toContain("address|wg0|2001:db8:5:1::a3b:701/64");
    observe(made, "wan0", [`${WAN_ADDRESS}/24`, WAN_IPV6]);
    expect(addresses()).toEqual(["address|wg0|10.59.7.1/24"]);
  });

  it("is forwarding, with routers listened to on each WAN, and proxying only where it is needed; the subnets want it", () => {
    const made = router();
    const select = selectSysctls();
    const rows = () => [...select(made.state).rows()].filter(({ key }) => key.startsWith("net.ipv6."));
    give(made, "2001:db8:7::/64");
    // Nobody is on a subnet: the kernel is left as it is.
    expect(rows()).toEqual([]);
    made.device("nas");
    expect(rows().map(({ key, spec }) => [key, spec.value, spec.unless])).toEqual([
      ["net.ipv6.conf.wan0.accept_ra", "2", "0"],
      ["net.ipv6.conf.wan1.accept_ra", "2", "0"],
      ["net.ipv6.conf.all.forwarding", "1", undefined],
    ]);
    give(made, PART);
    expect(rows().at(-1)).toMatchObject({
      key: "net.ipv6.conf.all.proxy_ndp",
      owners: [made.idOfSubnet("home")],
      revision: made.state.seq,
    });
    give(made, null);
    expect(rows()).toEqual([]);
  });

  it("touches no rule of the tables: they are the same with and without", () => {
    const made = router();
    made.device("nas");
    const before = [...selectForwards("0011223344556677")(made.state).rows()];
    give(made, PART);
    expect([...selectForwards("0011223344556677")(made.state).rows()]).toEqual(before);
  });
});
