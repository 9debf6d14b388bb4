import { describe, expect, it } from "vitest";
import { event } from "../../../src/events/index.ts";
import { VIA_MASK, VIA_MAX, viaMark } from "../../../src/lib/via-mark.ts";
import type { DesiredTable } from "../../../src/reducers/select/desired.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { selectRoutes } from "../../../src/reducers/select/route-rows.ts";
import type { RouteRow } from "../../../src/reducers/select/rows.ts";
import { selectSysctls } from "../../../src/reducers/select/sysctl-rows.ts";
import { WaysOut, waysOut } from "../../../src/reducers/select/ways-out.ts";
import { DEFAULT_SETTINGS, type State } from "../../../src/reducers/state.ts";
import { DEVICE, portAdd } from "./given.ts";
import { Router } from "./router.ts";

const [forwards, routes, sysctls] = [selectForwards("0123456789abcdef"), selectRoutes(), selectSysctls()];

interface Uplink {
  readonly up?: boolean;
  readonly gateway: string | null;
}

/** What the observer says of a WAN; `addresses` are those that the router has. */
function observe(router: Router, name: "wan0" | "wan1", { up = true, gateway }: Uplink): void {
  const addresses = name === "wan0" ? ["11.22.33.1/24", "11.22.33.9/24"] : ["11.22.44.1/24"];
  router.append([event("interface.observed", { name, up, addresses: up ? addresses : [], gateway })]);
}

function dualHomed(): Router {
  const router = new Router();
  observe(router, "wan0", { gateway: "11.22.33.2" });
  observe(router, "wan1", { gateway: "link" });
  return router;
}

const numberOf = (state: State, name: string): number =>
  waysOut(state).vias.find((via) => via.interface === name)?.number ?? 0;

/** Rows of these kinds, as short texts. */
function vias(state: State): string[] {
  const names = new Map(waysOut(state).vias.map((via) => [via.number, via.interface]));
  return [...forwards(state).rows()]
    .flatMap(({ key, spec }) => ("via" in spec ? [`${key} ${names.get(spec.via)}`] : []))
    .sort();
}

const routeRows = (state: State): RouteRow[] =>
  [...routes(state).rows()].map(({ spec }) => spec).filter(({ kind }) => kind !== "address" && kind !== "neighbour");

const OWN = ["hostVia|11.22.33.1 wan0", "hostVia|11.22.33.9 wan0", "hostVia|11.22.44.1 wan1"];

describe("[W5] ways out", () => {
  it("are none with one WAN, and none while no WAN is known to lead anywhere", () => {
    const router = new Router();
    expect(waysOut(router.state).vias).toEqual([]);
    observe(router, "wan1", { gateway: "11.22.44.2" });
    expect(waysOut(router.state).vias).toHaveLength(2);
    const settings = { ...router.state.settings, wan: { interfaces: ["wan1"], externalAddress: "auto" as const } };
    router.append([event("settings.changed", { settings })]);
    expect(waysOut(router.state).vias).toEqual([]);
    expect(vias(router.state)).toEqual([]);
    expect(routeRows(router.state)).toEqual([]);
    expect(sysctls(router.state).get("net.ipv4.conf.wan1.rp_filter")?.spec.value).toBe("1");
  });

  it("keep their number whatever the order, and no two have the same", () => {
    const interfaces = Object.fromEntries(
      Array.from({ length: VIA_MAX }, (_, index) => `eth${index}`).map((name) => [
        name,
        { name, up: true, addresses: [], gateway: "link" as const, revision: 1 },
      ]),
    );
    const names = Object.keys(interfaces);
    const of = (order: readonly string[]): Map<string, number> => {
      const settings = { ...DEFAULT_SETTINGS, wan: { interfaces: [...order], externalAddress: "auto" as const } };
      return new Map(new WaysOut({ settings, interfaces }).vias.map((via) => [via.interface, via.number]));
    };
    const numbers = of(names);
    expect(new Set(numbers.values()).size).toBe(VIA_MAX);
    expect(of(names.toReversed())).toEqual(numbers);
    for (const number of numbers.values()) {
      expect(number).toBeGreaterThan(0);
      expect((viaMark(number) & VIA_MASK) >>> 0).toBe(viaMark(number));
    }
  });

  it("go by the first WAN that leads out, and never by another than what an address is of", () => {
    const router = dualHomed();
    const steps: [() => void, string | undefined, boolean[]][] = [
      [() => undefined, "wan0", [true, true, true]],
      [() => observe(router, "wan0", { gateway: null }), "wan1", [false, true, false]],
      [() => observe(router, "wan1", { up: false, gateway: null }), undefined, [true, true, true]],
      [() => observe(router, "wan0", { gateway: "11.22.33.3" }), "wan0", [true, false, true]],
    ];
    for (const [step, usual, leads] of steps) {
      step();
      const ways = waysOut(router.state);
      expect(ways.usual?.interface).toBe(usual);
      expect(["wan0", "wan1", "11.22.33.9"].map((wan) => ways.leads(wan))).toEqual(leads);
    }
  });
});

describe("[W5] rows of several WANs", () => {
  it("devices and subnets with a WAN of their own leave by it; mapped ports by the one they are mapped on", () => {
    const router = dualHomed();
    router.subnet("lab", "10.59.8.0/24", { wan: "wan1" });
    router.device("nas", { wan: "11.22.33.9" });
    router.device("box");
    router.device("rig", { subnet: router.idOfSubnet("lab") });
    const [nas, rig] = [router.find("nas").address, router.find("rig").address];
    const hosts = [...OWN, `hostVia|${nas} wan0`, `hostVia|${rig} wan1`].sort();
    expect(vias(router.state)).toEqual(hosts);

    const before = forwards(router.state);
    router.do(portAdd({ externalPort: 8001, internalPort: 80, wan: "wan0" }));
    router.do(portAdd({ externalPort: 8053, internalPort: 53, wan: "wan1" }));
    // It leaves by the WAN of its host as it is.
    router.do(portAdd({ externalPort: 8003, internalPort: 80, internalAddress: rig, wan: "wan1" }));
    const changed = forwards(router.state).changedSince(before);
    expect([...(changed ?? [])]).toContain(`portVia|${DEVICE}|tcp|53`);
    expect(vias(router.state)).toEqual([...hosts, `portVia|${DEVICE}|tcp|53 wan1`].sort());
  });

  it("of a WAN that leads nowhere are gone, and its devices leave like the others until it does again", () => {
    const router = dualHomed();
    router.device("rig", { wan: "wan1" });
    router.do(portAdd({ externalPort: 8002, internalPort: 80, wan: "wan1" }));
    const { address } = router.find("rig");
    const [hosts, egress] = [vias(router.state), `egress|${address}`];
    expect(hosts).toContain(`hostVia|${address} wan1`);
    expect(hosts).toContain(`portVia|${DEVICE}|tcp|80 wan1`);
    expect(forwards(router.state).get(egress)?.spec).toMatchObject({ toAddress: "11.22.44.1" });

    observe(router, "wan1", { gateway: null });
    expect(vias(router.state)).toEqual(OWN.slice(0, 2));
    expect(forwards(router.state).get(egress)).toBeUndefined();
    // It is still reached from there, as far as the link itself goes.
    expect(forwards(router.state).get("forward|11.22.44.1|tcp|8002")).toBeDefined();
    observe(router, "wan1", { gateway: "link" });
    expect(vias(router.state)).toEqual(hosts);
  });

  it("each has a table that leads nowhere else, and its flows and its own addresses are sent there", () => {
    const router = dualHomed();
    const number = numberOf(router.state, "wan1");
    const table = 19_100 + number;
    const ofIt = (rows: readonly RouteRow[]): RouteRow[] =>
      rows.filter((row) => ("table" in row && row.table === table) || ("from" in row && row.from === "11.22.44.1"));
    const always: RouteRow[] = [
      { kind: "rule", priority: 19_100, mark: viaMark(number), mask: VIA_MASK, table },
      { kind: "unreachable", table, prefix: "0.0.0.0/0" },
    ];
    expect(ofIt(routeRows(router.state))).toEqual([
      ...always,
      { kind: "route", table, prefix: "11.22.44.0/24", interface: "wan1", gateway: null },
      { kind: "route", table, prefix: "0.0.0.0/0", interface: "wan1", gateway: null },
      { kind: "source", priority: 19_101, from: "11.22.44.1", table: 254, specific: true },
      { kind: "source", priority: 19_102, from: "11.22.44.1", table, specific: false },
    ]);
    expect(sysctls(router.state).get("net.ipv4.conf.wan1.rp_filter")?.spec.value).toBe("2");
    expect(sysctls(router.state).get("net.ipv4.conf.lan0.rp_filter")?.spec.value).toBe("1");
    observe(router, "wan1", { up: false, gateway: null });
    expect(ofIt(routeRows(router.state))).toEqual(always);
  });

  it("a new gateway of a WAN cuts no flow and moves no port", () => {
    const router = dualHomed();
    router.do(portAdd({ externalPort: 8002, internalPort: 80, wan: "wan1" }));
    const keys = (table: DesiredTable<unknown>): string[] => [...table.rows()].map(({ key }) => key).sort();
    const [before, epoch] = [keys(forwards(router.state)), router.state.epochs];
    observe(router, "wan1", { gateway: "11.22.44.3" });
    expect(keys(forwards(router.state))).toEqual(before);
    expect(router.state.epochs).toEqual(epoch);
    const table = 19_100 + numberOf(router.state, "wan1");
    expect(routes(router.state).get(`route|${table}|0.0.0.0/0`)?.spec).toMatchObject({ gateway: "11.22.44.3" });
  });
});
