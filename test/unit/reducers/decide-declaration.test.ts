import { describe, expect, it } from "vitest";
import { declaration } from "../../../src/events/declaration.ts";
import { event } from "../../../src/events/index.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { Command, Decision } from "../../../src/reducers/decide/command.ts";
import { devicesWithoutKeys, type SealedKeys } from "../../../src/reducers/decide/declaration.ts";
import { sealState } from "../../../src/reducers/fork.ts";
import { DEFAULT_SETTINGS } from "../../../src/reducers/state.ts";
import { contentHash, stateFromJson, stateHash, stateToJson } from "../../../src/reducers/state-json.ts";
import { NO_DNS, eventsOf, Gateway, OTHER_DEVICE, portAdd } from "./given.ts";

const secret = (number: number): string => `s${number.toString(16).padStart(32, "0")}`;
const key = (number: number): string => Buffer.from(number.toString(16).padStart(64, "0"), "hex").toString("base64");

function gateway(): Gateway {
  const made = new Gateway();
  const settings = { ...DEFAULT_SETTINGS, wan: { interfaces: ["wan0", "wan1"], externalAddress: "auto" as const } };
  made.append([
    event("settings.changed", {
      settings: {
        ...settings,
        lan: [{ interface: "lan0", nonce: "strict", devices: "any", ...NO_DNS }],
        wireguard: { interface: "wg-portreeve", listenPort: 51820, nonce: "same-host" },
      },
    }),
    event("interface.observed", { name: "wan1", up: true, addresses: ["11.22.44.1/24"], gateway: null }),
    event("wireguard.keyed", { publicKey: key(1), privateKeySecret: secret(1) }),
  ]);
  return made;
}

let keyed = 100;

/** As the API does it: keys for whoever needs them, then one command. */
function apply(
  made: Gateway,
  document: object,
  options: Partial<Extract<Command, { type: "declaration.apply" }>> & { readonly confirmWithin?: number } = {},
) {
  const parsed = declaration.parse({ name: "site", ...document });
  const keys = new Map(
    devicesWithoutKeys(parsed, made.state).map(({ name, publicKey }): [string, SealedKeys] => {
      keyed += 1;
      const own = publicKey === null ? secret(2 * keyed) : null;
      return [
        name,
        { publicKey: publicKey ?? key(keyed), privateKeySecret: own, presharedKeySecret: secret(2 * keyed + 1) },
      ];
    }),
  );
  const command = { type: "declaration.apply", declaration: parsed, keys, gatewayKey: null, prune: false } as const;
  return made.do({ ...command, routes: [], ...options }, "api:root");
}

const messageOf = (decision: Decision): string => {
  if (decision.ok) throw new Error("accepted");
  return `${decision.refusal.code} ${decision.refusal.message}`;
};
const deviceNamed = (made: Gateway, name: string) =>
  [...tableRows(made.state.devices)].find((device) => device.name === name);
const ports = (made: Gateway): string[] =>
  [...tableRows(made.state.mappings)]
    .map((each) => `${each.label} ${each.externalPort}/${each.protocol} ${each.internalAddress}:${each.internalPort}`)
    .sort();

const SITE = {
  subnets: [{ name: "work", prefix: "10.59.7.0/24", dns: { mode: "device", device: "nas" } }],
  devices: [
    { name: "nas", kind: "server", subnet: "work", address: "10.59.7.2" },
    { name: "tv", subnet: "work" },
    { name: "printer", interface: "lan0", address: OTHER_DEVICE },
  ],
  ports: [
    { name: "web", port: "8443/tcp", to: "nas:443" },
    { name: "torrent", port: "6881-6889/udp", to: "10.59.7.3" },
  ],
};

describe("a declaration", () => {
  it("makes all of it in one commit, each object with its name on it", () => {
    const made = gateway();
    expect(eventsOf(apply(made, SITE))).toEqual([
      "subnet.added",
      "device.added",
      "device.added",
      "device.added",
      "subnet.changed",
      "mapping.granted",
      "mapping.granted",
    ]);
    expect([...tableRows(made.state.devices)].map((each) => each.managedBy)).toEqual(["site", "site", "site"]);
    expect(Object.values(made.state.subnets).map((each) => each.managedBy)).toEqual(["site"]);
    expect(deviceNamed(made, "tv")?.address).toBe("10.59.7.3");
    expect(ports(made)).toEqual(["torrent 6881/udp 10.59.7.3:6881", "web 8443/tcp 10.59.7.2:443"]);
    const [subnet] = Object.values(made.state.subnets);
    expect(subnet?.dns).toEqual({ mode: "device", device: deviceNamed(made, "nas")?.id });
  });

  it("changes nothing the second time, after a replay from a snapshot neither", () => {
    const made = gateway();
    apply(made, SITE);
    expect(eventsOf(apply(made, SITE, { prune: true }))).toEqual([]);
    const again = stateFromJson(JSON.parse(JSON.stringify(stateToJson(made.state))));
    expect(stateHash(again)).toBe(stateHash(made.state));
    made.state = sealState(again);
    expect(eventsOf(apply(made, SITE, { prune: true }))).toEqual([]);
  });

  it("turns back what was edited by hand, a label and an address too", () => {
    const made = gateway();
    apply(made, SITE);
    const nas = deviceNamed(made, "nas");
    const [web] = [...tableRows(made.state.mappings)].filter(({ label }) => label === "web");
    const before = contentHash(made.state);
    made.do({ type: "device.edit", id: nas?.id ?? "", address: "10.59.7.9", ports: "off" });
    made.do({ type: "port.edit", id: web?.id ?? "", label: "mine", enabled: false });
    expect(contentHash(made.state)).not.toBe(before);
    expect(apply(made, SITE).ok).toBe(true);
    expect(contentHash(made.state)).toBe(before);
  });

  it("[F8] says who reaches a forward and what its host sees of them; what it leaves out is for everybody", () => {
    const made = gateway();
    const port = { name: "ssh", port: "22022/tcp", to: "192.168.77.2:22" };
    const seen = () => [...tableRows(made.state.mappings)].map(({ from, sourceAddress }) => [from, sourceAddress]);
    apply(made, { ports: [{ ...port, from: ["203.0.113.7", "198.51.100.0/24"], source: "gateway" }] });
    expect(seen()).toEqual([[["198.51.100.0/24", "203.0.113.7/32"], "gateway"]]);
    expect(
      eventsOf(apply(made, { ports: [{ ...port, from: ["198.51.100.0/24", "203.0.113.7"], source: "gateway" }] })),
    ).toEqual([]);
    apply(made, { ports: [port] });
    expect(seen()).toEqual([[[], null]]);
  });

  it("removes what is not in it any more only when told to", () => {
    const made = gateway();
    const before = contentHash(made.state);
    apply(made, SITE);
    expect(eventsOf(apply(made, {}))).toEqual([]);
    expect(apply(made, {}, { prune: true }).ok).toBe(true);
    expect(made.state.devices.size + made.state.mappings.size + Object.keys(made.state.subnets).length).toBe(0);
    expect(contentHash({ ...made.state, severed: gateway().state.severed })).toBe(before);
  });

  it("frees names, addresses and ports before it needs them", () => {
    const made = gateway();
    apply(made, SITE);
    const swapped = {
      subnets: [{ name: "work", prefix: "10.59.7.0/24" }],
      devices: [
        { name: "tv", subnet: "work", address: "10.59.7.2" },
        { name: "laptop", subnet: "work", address: "10.59.7.3" },
      ],
      ports: [
        { name: "web", port: "6881-6889/udp", to: "tv:443" },
        { name: "torrent", port: "8443/tcp", to: "laptop" },
      ],
    };
    const decision = apply(made, swapped, { prune: true });
    expect(decision.ok ? "" : decision.refusal.message).toBe("");
    expect([...tableRows(made.state.devices)].map(({ name, address }) => `${name} ${address}`).sort()).toEqual([
      "laptop 10.59.7.3",
      "tv 10.59.7.2",
    ]);
    expect(ports(made)).toEqual(["torrent 8443/tcp 10.59.7.3:8443", "web 6881/udp 10.59.7.2:443"]);
  });

  it("moves a chain of devices, the last one first; two that change places are named", () => {
    const made = gateway();
    const at = (...addresses: string[]) => ({
      subnets: [{ name: "work", prefix: "10.59.7.0/24" }],
      devices: addresses.map((address, index) => ({ name: `d${index}`, subnet: "work", address })),
    });
    apply(made, at("10.59.7.2", "10.59.7.3", "10.59.7.4"));
    expect(apply(made, at("10.59.7.3", "10.59.7.4", "10.59.7.5")).ok).toBe(true);
    expect(deviceNamed(made, "d0")?.address).toBe("10.59.7.3");
    expect(messageOf(apply(made, at("10.59.7.4", "10.59.7.3", "10.59.7.5")))).toBe(
      "CONFLICT device d0: 10.59.7.4 is the address of d1\ndevice d1: 10.59.7.3 is the address of d0",
    );
    expect(messageOf(apply(made, at("10.59.7.6", "10.59.7.6", "10.59.7.3")))).toBe(
      "CONFLICT device d1: 10.59.7.6 is the address of d0",
    );
    expect(apply(made, at("10.59.7.4", "10.59.7.6", "10.59.7.3")).ok, "two chains that meet").toBe(true);
  });

  it("gives no address away by chance that is declared for another", () => {
    const made = gateway();
    const devices = [
      { name: "any", subnet: "work" },
      { name: "fixed", subnet: "work", address: "10.59.7.2" },
    ];
    expect(apply(made, { subnets: [{ name: "work", prefix: "10.59.7.0/24" }], devices }).ok).toBe(true);
    expect(deviceNamed(made, "any")?.address).toBe("10.59.7.3");
  });

  it("touches nothing that it did not make, names each thing in its way, and then does nothing at all", () => {
    const made = gateway();
    made.do({
      type: "subnet.add",
      name: "Work",
      prefix: "10.59.8.0/24",
      wan: null,
      ipv6Prefix: null,
      dns: { mode: "system" },
      routes: [],
    });
    made.do(portAdd({ externalPort: 8443 }));
    const before = stateHash(made.state);
    const ports = [...SITE.ports, { name: "ssh", port: "8443/tcp", to: "192.168.77.3:22" }];
    const message = messageOf(apply(made, { ...SITE, ports }));
    expect(message).toMatch(
      /^CONFLICT subnet work: Work is there already and was made by hand[^\n]*\nport ssh: tcp 8443 already goes to/,
    );
    expect(stateHash(made.state)).toBe(before);
    expect(messageOf(apply(made, { devices: SITE.devices, subnets: SITE.subnets, name: "other" }))).toMatch(
      /^CONFLICT/,
    );
  });

  it("removes no device with a forward by hand, and no subnet with a device by hand", () => {
    const made = gateway();
    apply(made, SITE);
    const [subnet] = Object.values(made.state.subnets);
    made.do(portAdd({ externalPort: 9000, internalAddress: "10.59.7.2" }));
    const guest = { type: "device.add", name: "guest", kind: "client", interface: null, address: null } as const;
    const keys = { publicKey: key(9), privateKeySecret: secret(9), presharedKeySecret: secret(10) };
    const rest = { ports: null, dns: null, wan: null, lifetime: null, profile: null };
    made.do({ ...guest, subnet: subnet?.id ?? "", ...keys, ...rest });
    const message = messageOf(apply(made, {}, { prune: true }));
    expect(message).toContain("device nas: it would go, and with it what leads to it and was not declared: 9000/tcp");
    expect(message).toContain("subnet work: it would go, and with it");
    expect(message).toContain("guest");
  });

  it("joins a port that a device asked for, and leaves it to the device when it goes", () => {
    const made = gateway();
    made.map({ suggestedPort: 8080 });
    const document = { ports: [{ name: "web", port: "8080/tcp", to: "192.168.77.2:8080" }] };
    expect(eventsOf(apply(made, document))).toEqual(["lease.granted", "mapping.changed"]);
    expect(eventsOf(apply(made, document))).toEqual([]);
    expect(eventsOf(apply(made, {}, { prune: true }))).toEqual(["lease.released"]);
    const [mapping] = [...tableRows(made.state.mappings)];
    expect(mapping?.claims.map(({ source }) => source)).toEqual(["pcp"]);
  });

  it("gives a device that brings another key new secrets, and asks for none that it does not need", () => {
    const made = gateway();
    const own = (publicKey: string) => ({
      subnets: [{ name: "work", prefix: "10.59.7.0/24" }],
      devices: [{ name: "nas", subnet: "work", publicKey }],
    });
    apply(made, own(key(7)));
    expect(devicesWithoutKeys(declaration.parse({ name: "site", ...own(key(7)) }), made.state)).toEqual([]);
    expect(eventsOf(apply(made, own(key(8))))).toEqual(["device.changed"]);
    expect(deviceNamed(made, "nas")?.publicKey).toBe(key(8));
    const changed = apply(made, own(key(12)), { keys: new Map() });
    expect(messageOf(changed)).toMatch(/^LOG_REVISION_CONFLICT device nas: it needs keys/);
  });

  it("takes over a gateway's key only while nobody knows it by another", () => {
    const made = gateway();
    const gatewayKey = { publicKey: key(40), privateKeySecret: secret(40) };
    expect(eventsOf(apply(made, SITE, { gatewayKey }))[0]).toBe("wireguard.keyed");
    expect(eventsOf(apply(made, SITE, { gatewayKey }))).toEqual([]);
    const other = { publicKey: key(41), privateKeySecret: secret(41) };
    expect(messageOf(apply(made, SITE, { gatewayKey: other }))).toMatch(
      /^CONFLICT the gateway's key: there are 2 devices/,
    );
  });

  it("[E5] that brings the gateway's key is not undone, nor due to be confirmed: the key before it is erased", () => {
    const made = gateway();
    const { state: before, records } = made;
    const first = records.length;
    const gatewayKey = { publicKey: key(40), privateKeySecret: secret(40) };
    expect(messageOf(apply(made, SITE, { gatewayKey, confirmWithin: 60 }))).toContain(
      "gateway's key before it is erased",
    );
    apply(made, SITE, { gatewayKey });
    const change = { records: made.records.slice(first), before, later: [] };
    const undone = made.do({ type: "change.revert", change }, "api:root");
    expect(messageOf(undone)).toMatch(/^NOT_UNDOABLE .*the gateway's key before it is erased with it$/);
  });

  it("is undone as a whole", () => {
    const made = gateway();
    const before = contentHash(made.state);
    const start = made.state;
    const first = made.state.seq;
    apply(made, SITE);
    const records = made.records.slice(first);
    const undone = made.do({ type: "change.revert", change: { records, before: start, later: [] } }, "api:root");
    expect(undone.ok).toBe(true);
    expect(contentHash({ ...made.state, severed: start.severed })).toBe(before);
  });

  it("makes 1,000 devices in 20 subnets in one commit", () => {
    const made = gateway();
    const subnets = Array.from({ length: 20 }, (_, index) => ({ name: `s${index}`, prefix: `10.60.${index}.0/24` }));
    const devices = Array.from({ length: 1000 }, (_, index) => ({ name: `d${index}`, subnet: `s${index % 20}` }));
    expect(eventsOf(apply(made, { subnets, devices }))).toHaveLength(1020);
    expect(made.state.tunnelled).toBe(1000);
    expect(eventsOf(apply(made, { subnets, devices }, { prune: true }))).toEqual([]);
  });
});

describe("the schema of a declaration", () => {
  const faults = (document: object): string[] => {
    const parsed = declaration.safeParse({ name: "site", ...document });
    return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  };

  it.each([
    [{ devices: [{ name: "nas" }] }, /^devices.0.subnet must be on a subnet or on a LAN/],
    [
      { devices: [{ name: "nas", subnet: "a", interface: "lan0" }] },
      /^devices.0.subnet must be on a subnet or on a LAN/,
    ],
    [{ devices: [{ name: "nas", interface: "lan0" }] }, /^devices.0.address must be there/],
    [{ subnets: [{ name: "a" }, { name: "A" }] }, /^subnets.1.name is there twice: A/],
    [{ ports: [{ name: "web", port: "443", to: "nas" }] }, /^ports.0.port must be the external port/],
    [{ ports: [{ name: "web", port: "9-8/tcp", to: "nas" }] }, /^ports.0.port must be the external port/],
    [{ ports: [{ name: "web", port: "0/tcp", to: "nas" }] }, /^ports.0.port must be the external port/],
    [{ ports: [{ name: "web", port: "443/tcp", to: "nas:0" }] }, /^ports.0.to must be a device or an address/],
    [{ ports: [{ name: "web", port: "443/tcp", to: "10.0.0.256" }] }, /^ports.0.to must be a device or an address/],
    [{ ports: [{ name: "web", port: "443/tcp", to: "-nas" }] }, /^ports.0.to must be a device or an address/],
    [{ wans: [] }, /Unrecognized key/],
  ])("refuses %j", (document, message) => {
    expect(faults(document).join("\n")).toMatch(message);
  });
});
