import { describe, expect, it } from "vitest";
import { tableEntries, tableRows } from "../../../src/lib/table.ts";
import { event } from "../../../src/events/index.ts";
import type { DesiredTable } from "../../../src/reducers/select/desired.ts";
import { forwardDeletionExplained } from "../../../src/reducers/select/forward-keys.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import type { ForwardRow } from "../../../src/reducers/select/rows.ts";
import { DEVICE, Gateway, mapped, OTHER_DEVICE, OTHER_NONCE, portAdd, refusalOf, WAN_ADDRESS } from "./given.ts";
import { Router } from "./router.ts";

const select = selectForwards("0123456789abcdef");
const keys = (table: DesiredTable<ForwardRow>): string[] => [...table.rows()].map((row) => row.key).sort();

/** What the table should hold, worked out from the mappings alone and by other means than the table's own. */
function expectedKeys(gateway: Gateway): string[] {
  const { state } = gateway;
  const result = new Set<string>();
  if (state.settings.lan.length > 0) result.add("skeleton");
  for (const mapping of tableRows(state.mappings)) {
    if (!mapping.enabled) continue;
    const { protocol, externalPort: out, internalPort: inner, count, internalAddress } = mapping;
    if (count > 1 && out === inner) result.add(`range|${WAN_ADDRESS}|${protocol}|${out}-${out + count - 1}`);
    for (let i = 0; i < count; i += 1) {
      if (count === 1 || out !== inner) result.add(`forward|${WAN_ADDRESS}|${protocol}|${out + i}`);
      result.add(`outbound|${internalAddress}|${protocol}|${inner + i}`);
      result.add(`ours|${protocol}|${out + i}`);
    }
  }
  for (const key of [...tableEntries(state.severed)].map(([key]) => key)) result.add(`severed|${key}`);
  return [...result].sort();
}

describe("forward rows", () => {
  it("[F4] one mapping is a forward, an outbound and an ours row, owned by it", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
    const table = select(gateway.state);
    expect(table.get(`forward|${WAN_ADDRESS}|tcp|9000`)).toMatchObject({
      spec: { toAddress: DEVICE, toPort: 8080 },
      owners: [mappingId],
    });
    expect(table.get(`outbound|${DEVICE}|tcp|8080`)).toMatchObject({ spec: { toAddress: WAN_ADDRESS, toPort: 9000 } });
    expect(table.get("ours|tcp|9000")).toMatchObject({ owners: [mappingId] });
    expect(keys(table)).toEqual(expectedKeys(gateway));
  });

  it("[F1] a range that keeps its numbers is one interval, one with an offset is single elements", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 40_000, internalPort: 40_000, count: 3 }));
    gateway.do(portAdd({ externalPort: 41_000, internalPort: 42_000, count: 2 }));
    expect(keys(select(gateway.state))).toEqual(expectedKeys(gateway));
  });

  it("with nothing to serve there is no row at all", () => {
    const gateway = new Gateway();
    const settings = { ...gateway.state.settings, lan: [] };
    gateway.append([event("settings.changed", { settings })]);
    gateway.append([event("listeners.observed", { listeners: [{ protocol: "tcp", port: 22 }] })]);
    expect(keys(select(gateway.state))).toEqual([]);
  });

  it("a disabled mapping and one on a WAN without an address have no forward", () => {
    const gateway = new Gateway();
    const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
    gateway.do({ type: "port.edit", id: mappingId, enabled: false });
    expect(select(gateway.state).get(`forward|${WAN_ADDRESS}|tcp|9000`)).toBeUndefined();
    gateway.do({ type: "port.edit", id: mappingId, enabled: true });
    gateway.append([event("interface.observed", { name: "wan0", up: false, addresses: [], gateway: null })]);
    expect(select(gateway.state).get(`forward|${WAN_ADDRESS}|tcp|9000`)).toBeUndefined();
  });

  it("where two external ports hang on one internal port the oldest is what leaves it", () => {
    const gateway = new Gateway({}, "same-host");
    gateway.map({ suggestedPort: 9000 });
    gateway.map({ suggestedPort: 9001, nonce: OTHER_NONCE });
    expect(select(gateway.state).get(`outbound|${DEVICE}|tcp|8080`)).toMatchObject({ spec: { toPort: 9000 } });
    gateway.unmap();
    expect(select(gateway.state).get(`outbound|${DEVICE}|tcp|8080`)).toMatchObject({ spec: { toPort: 9001 } });
  });

  it("behind 1:1 NAT packets are matched by the interface's own address and clients are told the literal", () => {
    const gateway = new Gateway();
    const settings = structuredClone(gateway.state.settings);
    settings.wan.externalAddress = "11.99.0.7";
    gateway.append([
      event("settings.changed", { settings }),
      event("interface.observed", { name: "wan0", up: true, addresses: ["10.0.0.5/24"], gateway: null }),
    ]);
    expect(mapped(gateway.map({ suggestedPort: 9000 })).externalAddress).toBe("11.99.0.7");
    const table = select(gateway.state);
    expect(table.get("forward|10.0.0.5|tcp|9000")).toBeDefined();
    expect(table.get("forward|11.99.0.7|tcp|9000")).toBeDefined();
    expect(table.get(`outbound|${DEVICE}|tcp|8080`)).toMatchObject({ spec: { toAddress: "10.0.0.5" } });
  });

  it("[F4] a changed WAN address re-keys all and severs the old one in one event, and resets the epoch", () => {
    const gateway = new Gateway();
    for (const port of [9000, 9001, 9002]) gateway.map({ internalPort: port, suggestedPort: port });
    const before = select(gateway.state);
    gateway
      .later(5)
      .append([event("interface.observed", { name: "wan0", up: true, addresses: ["11.22.33.7/24"], gateway: null })]);
    const after = select(gateway.state);
    expect(keys(after).filter((key) => key.includes(`|${WAN_ADDRESS}|`))).toEqual([`severed|${WAN_ADDRESS}|tcp|0`]);
    expect(keys(after).filter((key) => key.startsWith("forward|11.22.33.7|"))).toHaveLength(3);
    expect(after.changedSince(before)).toBeNull();
    expect(gateway.state.epochs["lan0"]?.startedAt).toBe(gateway.now);
  });

  it("[F25] an address that comes back after another one is severed no more: a restart ends none of its flows", () => {
    const gateway = new Gateway();
    gateway.map({ suggestedPort: 9000 });
    const at = (address: string): string[] => {
      gateway
        .later(60)
        .append([event("interface.observed", { name: "wan0", up: true, addresses: [`${address}/24`], gateway: null })]);
      return keys(select(gateway.state)).filter((key) => key.startsWith("severed|"));
    };
    expect(at("11.22.33.7")).toEqual([`severed|${WAN_ADDRESS}|tcp|0`]);
    expect(at(WAN_ADDRESS)).toEqual(["severed|11.22.33.7|tcp|0"]);
    expect(at("11.22.33.7")).toEqual([`severed|${WAN_ADDRESS}|tcp|0`]);
  });

  it("an address that goes and comes back unchanged resets no epoch and severs nothing", () => {
    const gateway = new Gateway();
    const epoch = gateway.state.epochs["lan0"];
    gateway.later(60).append([event("interface.lost", { name: "wan0" })]);
    gateway.append([
      event("interface.observed", { name: "wan0", up: true, addresses: [`${WAN_ADDRESS}/24`], gateway: null }),
    ]);
    expect(gateway.state.epochs["lan0"]).toEqual(epoch);
    expect(gateway.state.severed.size).toBe(0);
  });

  it("changedSince names every row that differs after random commands, and few others", () => {
    const gateway = new Gateway();
    for (let port = 2000; port < 2100; port += 1)
      gateway.map({ internalPort: port, device: `192.168.77.${2 + (port % 7)}` });
    let before = select(gateway.state);
    for (let step = 0; step < 40; step += 1) {
      const port = 2000 + ((step * 37) % 100);
      const device = `192.168.77.${2 + (port % 7)}`;
      if (step % 3 === 0) gateway.unmap({ internalPort: port, device });
      else if (step % 3 === 1) gateway.map({ internalPort: port, device, lifetime: 3600 + step });
      else gateway.do(portAdd({ externalPort: 30_000 + step, internalPort: port, internalAddress: device }));
      const after = select(gateway.state);
      const changed = [...(after.changedSince(before) ?? [])];
      const differing = [...new Set([...keys(before), ...keys(after)])].filter(
        (key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)),
      );
      for (const key of differing) expect(changed).toContain(key);
      expect(changed.length).toBeLessThanOrEqual(12);
      before = after;
    }
    expect(keys(before)).toEqual(expectedKeys(gateway));
  });

  it("[F4] severing the same port again is another row: flows that came in since end too", () => {
    const gateway = new Gateway();
    const key = `severed|${WAN_ADDRESS}|tcp|9000`;
    const rows = [1, 2].map(() => {
      const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
      gateway.do({ type: "port.remove", id: mappingId });
      return select(gateway.state).get(key)?.spec;
    });
    expect(rows[0]).toBeDefined();
    expect(rows[1]).not.toEqual(rows[0]);
  });

  it("[F4] a port that is held again is severed no more: after a restart its new flows are let alone", () => {
    const gateway = new Gateway();
    const severed = (): string[] => keys(select(gateway.state)).filter((key) => key.startsWith("severed|"));
    const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
    gateway.do({ type: "port.remove", id: mappingId });
    expect(severed()).toEqual([`severed|${WAN_ADDRESS}|tcp|9000`]);
    const before = select(gateway.state);
    gateway.map({ suggestedPort: 9000, device: OTHER_DEVICE });
    expect(severed()).toEqual([]);
    expect([...(select(gateway.state).changedSince(before) ?? [])]).toContain(`severed|${WAN_ADDRESS}|tcp|9000`);
    gateway.unmap({ device: OTHER_DEVICE });
    expect(severed()).toEqual([]);
  });

  it("[F4] of a severed range only the ports that are held again are let alone", () => {
    const gateway = new Gateway();
    const range = { externalPort: 9000, internalPort: 9000, count: 3 };
    const added = gateway.do(portAdd(range));
    const [id = ""] = added.ok && added.answer.kind === "ids" ? added.answer.ids : [];
    gateway.do({ type: "port.edit", id, enabled: false });
    gateway.map({ internalPort: 1234, suggestedPort: 9001 });
    expect(keys(select(gateway.state)).filter((key) => key.startsWith("severed|"))).toHaveLength(3);
    gateway.do({ type: "port.remove", id });
    gateway.do(portAdd({ externalPort: 9001, internalPort: 9001 }));
    expect(keys(select(gateway.state)).filter((key) => key.startsWith("severed|"))).toEqual([
      `severed|${WAN_ADDRESS}|tcp|9000`,
      `severed|${WAN_ADDRESS}|tcp|9002`,
    ]);
  });

  it("[F4] behind 1:1 NAT an operator's removal severs the address that hosts inside use as well", () => {
    const gateway = new Gateway();
    const { settings } = gateway.state;
    const behind = (externalAddress: string) => ({ ...settings, wan: { ...settings.wan, externalAddress } });
    gateway.append([event("settings.changed", { settings: behind("99.88.77.66") })]);
    const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
    gateway.do({ type: "port.remove", id: mappingId });
    const severed = (): string[] => keys(select(gateway.state)).filter((key) => key.startsWith("severed|"));
    expect(severed()).toEqual([`severed|${WAN_ADDRESS}|tcp|9000`, "severed|99.88.77.66|tcp|9000"]);
    gateway.append([event("settings.changed", { settings: behind("99.88.77.65") })]);
    expect(severed()).toContain("severed|99.88.77.66|tcp|0");
    expect(severed()).not.toContain(`severed|${WAN_ADDRESS}|tcp|0`);
  });

  it("explains the deletion of a port released before a restart, and not that of an unknown one", () => {
    const gateway = new Gateway();
    gateway.map({ suggestedPort: 9000 });
    gateway.map({ device: OTHER_DEVICE, suggestedPort: 9001 });
    gateway.unmap();
    expect(forwardDeletionExplained(gateway.state, `forward|${WAN_ADDRESS}|tcp|9000`)).toBe(true);
    expect(forwardDeletionExplained(gateway.state, `forward|${WAN_ADDRESS}|tcp|9005`)).toBe(false);
  });

  it("explains the deletion of a range that an operator removed before a restart, and not that of another", () => {
    const gateway = new Gateway();
    const range = { protocol: "udp", externalPort: 50_000, internalPort: 50_000, count: 100 } as const;
    const added = gateway.do(portAdd(range));
    gateway.do(portAdd({ externalPort: 8443 }));
    const id = added.ok && added.answer.kind === "ids" ? (added.answer.ids[0] as string) : "";
    gateway.do({ type: "port.remove", id });
    expect(forwardDeletionExplained(gateway.state, `range|${WAN_ADDRESS}|udp|50000-50099`)).toBe(true);
    expect(forwardDeletionExplained(gateway.state, `range|${WAN_ADDRESS}|udp|51000-51099`)).toBe(false);
  });
});

describe("[W5] a WAN that is one of several addresses", () => {
  it("has forwards of its own, beside the same port on the interface's first address", () => {
    const router = new Router();
    router.do(portAdd({ externalPort: 443, wan: "wan0" }));
    router.do(portAdd({ externalPort: 443, internalAddress: OTHER_DEVICE, wan: "11.22.33.9" }));
    const table = selectForwards("0123456789abcdef")(router.state);
    expect(table.get("forward|11.22.33.1|tcp|443")?.spec).toMatchObject({ toAddress: DEVICE });
    expect(table.get("forward|11.22.33.9|tcp|443")?.spec).toMatchObject({ toAddress: OTHER_DEVICE });
    expect(table.get("ours|tcp|443")?.owners).toHaveLength(2);
  });
});

describe("egress rows", () => {
  const egress = (router: Router): Record<string, string> =>
    Object.fromEntries(
      [...select(router.state).rows()].flatMap(({ spec }) =>
        spec.kind === "egress" ? [[spec.address, spec.toAddress]] : [],
      ),
    );

  it("[W6] a device leaves by its own WAN, else by its subnet's, else like all others", () => {
    const router = new Router();
    router.subnet("lab", "10.59.8.0/24", { wan: "wan1" });
    router.device("nas", { wan: "11.22.33.9" });
    router.device("box");
    router.device("rig", { subnet: router.idOfSubnet("lab") });
    router.device("cam", { subnet: router.idOfSubnet("lab"), wan: "wan0" });
    const { address: nas } = router.find("nas");
    const { address: rig } = router.find("rig");
    const { address: cam } = router.find("cam");
    expect(egress(router)).toEqual({ [nas]: "11.22.33.9", [rig]: "11.22.44.1", [cam]: WAN_ADDRESS });
    expect(select(router.state).get(`egress|${rig}`)?.owners).toEqual([router.find("rig").id]);
  });

  it("[W6] follow an edit of the device or its subnet, and an address that goes", () => {
    const router = new Router();
    router.device("nas");
    const { address } = router.find("nas");
    const steps: [() => void, Record<string, string>][] = [
      [
        () => router.do({ type: "subnet.edit", id: router.idOfSubnet("home"), wan: "wan1" }),
        { [address]: "11.22.44.1" },
      ],
      [() => router.edit("nas", { wan: "11.22.33.9" }), { [address]: "11.22.33.9" }],
      [() => router.edit("nas", { wan: null }), { [address]: "11.22.44.1" }],
      [() => router.append([event("interface.lost", { name: "wan1" })]), {}],
    ];
    for (const [step, expected] of steps) {
      const before = select(router.state);
      step();
      const changed = select(router.state).changedSince(before);
      if (changed !== null) expect([...changed]).toContain(`egress|${address}`);
      expect(egress(router)).toEqual(expected);
    }
  });
});

describe("[F8] who reaches a forward, and how its host sees them", () => {
  const kinds = (gateway: Gateway, ...wanted: string[]): string[] =>
    keys(select(gateway.state)).filter((key) => wanted.includes(key.split("|")[0] as string));

  it("only the networks that an operator names, each once, also for a range", () => {
    const gateway = new Gateway();
    const from = ["203.0.113.7/24", "198.51.100.4", "203.0.113.128/25"];
    gateway.do(portAdd({ externalPort: 9000, from }));
    gateway.do(portAdd({ externalPort: 40_000, internalPort: 40_000, count: 3, from: ["203.0.113.0/24"] }));
    gateway.do(portAdd({ externalPort: 9001, from: ["0.0.0.0/0", "203.0.113.0/24"] }));
    const at = `${WAN_ADDRESS}|tcp`;
    expect(kinds(gateway, "restricted", "allowed")).toEqual([
      `allowed|${at}|40000-40002|203.0.113.0/24`,
      `allowed|${at}|9000-9000|198.51.100.4/32`,
      `allowed|${at}|9000-9000|203.0.113.0/24`,
      `restricted|${at}|40000-40002`,
      `restricted|${at}|9000-9000`,
    ]);
    const [edited] = [...tableRows(gateway.state.mappings)].filter(({ externalPort }) => externalPort === 9000);
    const before = select(gateway.state);
    gateway.do({ type: "port.edit", id: edited?.id ?? "", from: [] });
    expect([...(select(gateway.state).changedSince(before) ?? [])]).toContain(`restricted|${at}|9000-9000`);
    expect(kinds(gateway, "restricted")).toEqual([`restricted|${at}|40000-40002`]);
  });

  it("refuses what is no network, and leaves a device's own port to `keep` first", () => {
    const gateway = new Gateway();
    expect(refusalOf(gateway.do(portAdd({ from: ["203.0.113.0/33"] }))).code).toBe("INVALID_REQUEST");
    const { mappingId } = mapped(gateway.map({ suggestedPort: 9000 }));
    const edit = { type: "port.edit", id: mappingId, sourceAddress: "gateway" } as const;
    expect(refusalOf(gateway.do(edit)).code).toBe("NOT_AUTHORIZED");
    gateway.do({ type: "port.keep", id: mappingId });
    gateway.do(edit);
    expect(kinds(gateway, "visited")).toEqual([`visited|${DEVICE}|tcp|8080`]);
  });

  it("a host in profile `split` sees the gateway, unless an operator says otherwise", () => {
    const router = new Router();
    router.device("nas");
    const { address } = router.find("nas");
    router.do(portAdd({ externalPort: 9000, internalAddress: address, internalPort: 80 }));
    const visited = (): string[] => kinds(router, "visited");
    expect(visited()).toEqual([]);
    const before = select(router.state);
    router.edit("nas", { profile: "split" });
    expect([...(select(router.state).changedSince(before) ?? [])]).toContain(`visited|${address}|tcp|80`);
    expect(visited()).toEqual([`visited|${address}|tcp|80`]);
    const [mapping] = [...tableRows(router.state.mappings)];
    router.do({ type: "port.edit", id: mapping?.id ?? "", sourceAddress: "keep" });
    expect(visited()).toEqual([]);
  });
});
