import { selectDns } from "../../../src/reducers/select/dns-rows.ts";
import { NO_DNS } from "../reducers/given.ts";
import { publicKeyOf } from "../../../src/adapters/wireguard/keys.ts";
import { totpCode, totpStep } from "../../../src/api/auth/totp.ts";
import type { DesiredSource } from "../../../src/api/deps.ts";
import { Secret } from "../../../src/events/secret.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { CommandType } from "../../../src/reducers/decide/command.ts";
import { selectGuard } from "../../../src/reducers/select/guard-rows.ts";
import { selectRoutes } from "../../../src/reducers/select/route-rows.ts";
import { selectSecrets } from "../../../src/reducers/select/secret-rows.ts";
import { selectSni } from "../../../src/reducers/select/sni-rows.ts";
import { selectSysctls } from "../../../src/reducers/select/sysctl-rows.ts";
import { selectWireguard } from "../../../src/reducers/select/wireguard-rows.ts";
import { mapRequest } from "../reducers/given.ts";
import { fromBase32 } from "./auth/base32.ts";
import { INSTANCE, makeRig, type Rig } from "./rig.ts";

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** Null where there is nothing that it could be done to. */
type Edit = (rig: Rig, pick: number) => Call | null | Promise<Call | null>;

const post = (path: string, body?: object): Call => ({ method: "POST", path, ...(body !== undefined && { body }) });
const remove = (path: string): Call => ({ method: "DELETE", path });
const patch = (path: string, body: object): Call => ({ method: "PATCH", path, body });
const one = <T>(rows: Iterable<T>, pick: number): T | undefined => {
  const all = [...rows];
  return all[pick % Math.max(1, all.length)];
};
const mapping = ({ controller }: Rig, pick: number, named = false) => {
  const mappings = [...tableRows(controller.state.mappings)].filter(({ name }) => (name !== null) === named);
  // Ids are drawn: by them no seed would bring the same again.
  return one(
    mappings.sort((a, b) => a.createdSeq - b.createdSeq),
    pick,
  );
};
const device = ({ controller }: Rig, pick: number) => {
  const byName = [...tableRows(controller.state.devices)].sort((a, b) => (a.name < b.name ? -1 : 1));
  return one(byName, pick);
};
const subnet = ({ controller }: Rig, pick: number) => {
  return one(
    Object.values(controller.state.subnets).sort((a, b) => a.createdSeq - b.createdSeq),
    pick,
  );
};
const smallPort = (pick: number): number => 2000 + (pick % 4);

const onPort =
  (change: (id: string, pick: number) => Call): Edit =>
  (rig, pick) => {
    const found = mapping(rig, pick);
    return found === undefined ? null : change(found.id, pick);
  };
const onRoute =
  (change: (id: string, pick: number) => Call): Edit =>
  (rig, pick) => {
    const found = mapping(rig, pick, true);
    return found === undefined ? null : change(found.id, pick);
  };
const onDevice =
  (change: (id: string, pick: number) => Call): Edit =>
  (rig, pick) => {
    const found = device(rig, pick);
    return found === undefined ? null : change(found.name, pick);
  };

const onRecord =
  (change: (id: string, pick: number, type: string) => Call | null): Edit =>
  ({ controller: { state } }, pick) => {
    const names = [...tableRows(state.names)].sort((a, b) => (a.name < b.name ? -1 : 1));
    const found = one(
      names.flatMap(({ records }) => records),
      pick,
    );
    return found === undefined ? null : change(found.id, pick, found.type);
  };

const LAN = "192.168.77.";
/** Only who is in a session has to say the password once more. */
const NOT_ASKED = "asked of nobody here";
const OWN_DNS = { mode: "custom", servers: ["9.9.9.9"] } as const;
const OWN_ZONE = { dns: OWN_DNS, zone: "own.example" } as const;

/** The n-th that a device, or another gateway, has already. */
const keyPair = (n: number): { readonly publicKey: string; readonly privateKey: string } => {
  const privateKey = Buffer.alloc(32, n + 8).toString("base64");
  return { privateKey, publicKey: publicKeyOf(new Secret(privateKey)) };
};

/**
 * How an operator makes each command that is his, or why it is not: a new kind of command does not compile until it is
 * said here. Those that can are planned, done and undone in `plan-property.test.ts`.
 */
export const EDITS: Readonly<Record<CommandType, readonly Edit[] | string>> = {
  "port.add": [
    (_rig, pick) =>
      post("/ports", {
        protocol: "tcp",
        externalPort: smallPort(pick),
        internalAddress: `${LAN}${2 + (pick % 3)}`,
        from: pick % 2 === 0 ? [] : ["203.0.113.0/24"],
      }),
    (_rig, pick) =>
      post("/ports", {
        protocol: "udp",
        externalPort: 2100 + (pick % 4),
        internalAddress: `${LAN}2`,
        internalPort: 53,
        count: 1 + (pick % 2),
        label: `l${pick}`,
        enabled: pick % 3 > 0,
        lifetime: pick % 2 === 0 ? null : 600,
        wan: "wan0",
        sourceAddress: "gateway",
      }),
    (_rig, pick) =>
      post("/routes", {
        name: pick % 2 === 0 ? `n${pick}.example.org` : "*.example.org",
        externalPort: smallPort(pick),
        internalAddress: `${LAN}${2 + (pick % 3)}`,
        internalPort: 443,
        label: `r${pick}`,
        enabled: pick % 3 > 0,
        lifetime: pick % 2 === 0 ? null : 600,
        wan: "wan0",
        sourceAddress: "gateway",
      }),
    (_rig, pick) => ({
      ...post("/ports", { protocol: "udp", externalPort: 2300 + pick, internalAddress: `${LAN}3` }),
      query: { confirmWithin: "60" },
    }),
  ],
  "port.edit": [
    onPort((id, pick) => patch(`/ports/${id}`, { label: `l${pick % 3}`, externalPort: smallPort(pick) })),
    onPort((id, pick) => patch(`/ports/${id}`, { enabled: pick % 2 === 0 })),
    onPort((id, pick) => patch(`/ports/${id}`, { lifetime: pick % 3 === 0 ? null : 600 + pick })),
    onPort((id, pick) => {
      const [internalAddress, count] = [`${LAN}${2 + (pick % 3)}`, 1 + (pick % 2)];
      return patch(`/ports/${id}`, { internalAddress, internalPort: 80 + (pick % 3), count });
    }),
    onPort((id, pick) => {
      const sourceAddress = ([null, "keep", "gateway"] as const)[pick % 3];
      return patch(`/ports/${id}`, { sourceAddress, from: pick % 2 === 0 ? [] : ["198.51.100.7"] });
    }),
    onRoute((id, pick) => {
      const place = {
        externalPort: smallPort(pick),
        internalAddress: `${LAN}${3 + (pick % 3)}`,
        internalPort: 80 + pick,
      };
      return patch(`/routes/${id}`, { ...place, label: `r${pick}`, sourceAddress: "gateway" });
    }),
    onRoute((id, pick) => patch(`/routes/${id}`, { enabled: pick % 2 === 0, lifetime: 600 + pick })),
  ],
  "port.remove": [onPort((id) => remove(`/ports/${id}`)), onRoute((id) => remove(`/routes/${id}`))],
  "port.keep": [onPort((id) => post(`/ports/${id}/keep`))],
  "port.block": [onPort((id) => post(`/ports/${id}/block`))],
  "port.unblock": [
    ({ controller }, pick) => {
      const block = one(Object.values(controller.state.blocks), pick);
      if (block === undefined) return null;
      const { device: address, protocol, internalPort } = block;
      return post("/blocks/lift", { device: address, protocol, internalPort });
    },
  ],
  "port.batch": [
    (rig, pick) => {
      const found = mapping(rig, pick);
      const add = { protocol: "udp", externalPort: 3000 + (pick % 4), internalAddress: `${LAN}2` };
      const changes = [{ op: "add", ...add }, ...(found === undefined ? [] : [{ op: "remove", id: found.id }])];
      return post("/ports/batch", { changes });
    },
    (rig, pick) => {
      const [first, second] = [mapping(rig, pick), mapping(rig, pick + 1)];
      if (first === undefined || second === undefined) return null;
      const edit = { op: "edit", id: first.id, label: `b${pick}` };
      const changes = [edit, { op: "keep", id: second.id }, { op: "block", id: second.id }];
      return post("/ports/batch", { changes });
    },
    ({ controller }, pick) => {
      const block = one(Object.values(controller.state.blocks), pick);
      if (block === undefined) return null;
      const { device: address, protocol, internalPort } = block;
      return post("/ports/batch", { changes: [{ op: "unblock", device: address, protocol, internalPort }] });
    },
  ],
  "subnet.add": [
    (_rig, pick) => post("/subnets", { name: `net${pick % 4}`, prefix: `10.59.${pick % 5}.0/24` }),
    (_rig, pick) =>
      post("/subnets", { name: `net${pick % 4}`, wan: "wan0", ipv6Prefix: `fd01:${pick % 7}::/64`, ...OWN_ZONE }),
  ],
  "subnet.edit": [
    (rig, pick) => {
      const found = subnet(rig, pick);
      const ipv6Prefix = pick % 2 === 0 ? null : `fd00:${pick % 7}::/64`;
      return found === undefined ? null : patch(`/subnets/${found.id}`, { name: `net${pick % 4}`, ipv6Prefix });
    },
    (rig, pick) => {
      const found = subnet(rig, pick);
      return found === undefined ? null : patch(`/subnets/${found.id}`, { wan: pick % 2 === 0 ? null : "wan0" });
    },
    (rig, pick) => {
      const found = subnet(rig, pick);
      const dns = pick % 2 === 0 ? OWN_DNS : { mode: "system" };
      return found === undefined ? null : patch(`/subnets/${found.id}`, { dns });
    },
    (rig, pick) => {
      const found = subnet(rig, pick);
      return found === undefined ? null : patch(`/subnets/${found.id}`, { zone: pick % 2 === 0 ? "z.example" : null });
    },
  ],
  "subnet.remove": [
    (rig, pick) => {
      const found = subnet(rig, pick);
      return found === undefined ? null : remove(`/subnets/${found.id}`);
    },
  ],
  "device.add": [
    (rig, pick) => {
      const found = subnet(rig, pick);
      const kind = pick % 3 === 0 ? "client" : "server";
      return found === undefined ? null : post("/devices", { name: `dev${pick % 6}`, kind, subnet: found.id });
    },
    (_rig, pick) => post("/devices", { name: `tv${pick % 3}`, interface: "lan0", address: `${LAN}${2 + (pick % 4)}` }),
    (rig, pick) => {
      const found = subnet(rig, pick);
      const rights = {
        ports: "ask",
        dns: "off",
        zones: [],
        mapsFor: [`${LAN}2`],
        wan: "wan0",
        lifetime: 3600,
        profile: "full",
      } as const;
      const publicKey = keyPair(pick).publicKey;
      return found === undefined ? null : post("/devices", { name: "own-key", subnet: found.id, publicKey, ...rights });
    },
  ],
  "device.edit": [
    onDevice((name, pick) => patch(`/devices/${name}`, { name: `dev${pick % 6}` })),
    onDevice((name, pick) => patch(`/devices/${name}`, { kind: pick % 2 === 0 ? "server" : "client" })),
    onDevice((name, pick) => patch(`/devices/${name}`, { ports: (["auto", "ask", "off"] as const)[pick % 3] })),
    onDevice((name, pick) => patch(`/devices/${name}`, { dns: (["auto", "ask", "off"] as const)[pick % 3] })),
    onDevice((name, pick) => patch(`/devices/${name}`, { zones: pick % 2 === 0 ? [`${name}.example`] : [] })),
    onDevice((name, pick) => patch(`/devices/${name}`, { mapsFor: pick % 2 === 0 ? [`${LAN}${2 + (pick % 4)}`] : [] })),
    onDevice((name, pick) => patch(`/devices/${name}`, { wan: pick % 2 === 0 ? "wan0" : null })),
    onDevice((name, pick) => patch(`/devices/${name}`, { lifetime: pick % 2 === 0 ? 600 : null })),
    onDevice((name, pick) => patch(`/devices/${name}`, { profile: ([null, "full", "split"] as const)[pick % 3] })),
    (rig, pick) => {
      const found = device(rig, pick);
      if (found === undefined) return null;
      const network = found.address.slice(0, found.address.lastIndexOf("."));
      return patch(`/devices/${found.name}`, { address: `${network}.${20 + (pick % 5)}` });
    },
    onDevice((name) => post(`/devices/${name}/rekey`)),
    onDevice((name) => remove(`/devices/${name}/private-key`)),
  ],
  "device.remove": [onDevice((name) => remove(`/devices/${name}`))],
  "device.allow": [
    onDevice((name, pick) => post(`/devices/${name}/allow`, { protocol: "tcp", internalPort: smallPort(pick) })),
    onDevice((name, pick) => post(`/devices/${name}/deny`, { protocol: "tcp", internalPort: smallPort(pick) })),
  ],
  "declaration.apply": [
    (_rig, pick) => {
      const names = ["a", "b", "c"].slice(0, pick % 4);
      const subnets = [{ name: "declared", prefix: "10.60.0.0/24" }];
      const devices = names.map((name) => ({ name, subnet: "declared", kind: pick % 2 === 0 ? "server" : "client" }));
      const ports = names.map((name, index) => ({ name, port: `${4000 + index}/tcp`, to: `${name}:80` }));
      const records = names.map((name) => ({ name: `${name}.Declared.Lan.`, type: "txt", value: `v${pick % 2}` }));
      return post("/declaration", {
        declaration: { name: "d", subnets, devices, ports, records },
        prune: pick % 3 === 0,
      });
    },
    (_rig, pick) => {
      const { publicKey, privateKey } = keyPair(pick % 3);
      const devices = [{ name: "imported", subnet: "imported", kind: "server", publicKey }];
      const subnets = [{ name: "imported", prefix: "10.61.0.0/24" }];
      return post("/declaration", {
        declaration: { name: "other-gateway", subnets, devices, ports: [] },
        keys: { imported: { privateKey, presharedKey: Buffer.alloc(32, 1 + pick).toString("base64") } },
      });
    },
    async (rig, pick) => {
      // The gateway's key is another gateway's only while no device knows it by the one it has.
      const known = [...tableRows(rig.controller.state.devices)].filter((each) => each.subnet !== null);
      for (const { id } of known) await rig.call("DELETE", `/api/v1/devices/${id}`);
      const declaration = { name: "other-key", subnets: [], devices: [], ports: [] };
      return post("/declaration", { declaration, gatewayKey: keyPair(100 + pick).privateKey });
    },
  ],
  "reconciler.pause": [(_rig, pick) => post("/reconcilers/nftables-forwards/pause", { seconds: 60 + pick })],
  "reconciler.resume": [() => post("/reconcilers/nftables-forwards/resume")],
  "password.set": [(_rig, pick) => post("/password", { password: `a password of ${pick}`, current: NOT_ASKED })],
  "totp.enable": [
    async (rig) => {
      const { body } = await rig.call<{ secret: string }>("POST", "/api/v1/totp/enrolment");
      return post("/totp", { code: totpCode(fromBase32(body.secret), totpStep(rig.deps.wallClock())) });
    },
  ],
  "totp.disable": [
    async (rig) => {
      await enableTotp(rig);
      return { ...remove("/totp"), body: { current: NOT_ASKED } };
    },
  ],
  "token.create": [(_rig, pick) => post("/tokens", { name: `ci${pick % 3}`, scopes: ["read"], lifetime: null })],
  "token.revoke": [
    ({ controller }, pick) => {
      const token = one(Object.values(controller.state.access.tokens), pick);
      return token === undefined ? null : remove(`/tokens/${token.id}`);
    },
  ],
  "change.revert": [
    () => post("/undo"),
    async (rig, pick) => {
      await asks(rig, 2200 + (pick % 4));
      return post(`/revert/${rig.controller.state.seq}`);
    },
  ],
  "confirmation.give": [
    async (rig, pick) => {
      await rig.call("POST", "/api/v1/ports?confirmWithin=60", {
        body: { protocol: "udp", externalPort: 5000 + (pick % 3), internalAddress: `${LAN}9` },
      });
      const id = Object.keys(rig.controller.state.confirmations)[0];
      return id === undefined ? null : post(`/confirmations/${id}/confirm`);
    },
  ],
  map: "a device asks; it is answered, and an operator revokes it",
  unmap: "a device gives up what it asked for",
  upnpMap: "a device asks; it is answered, and an operator revokes it",
  upnpUnmap: "a device gives up what it asked for",
  upnpUnmapRange: "a device gives up what it asked for",
  upnpPinhole: "a device asks for itself",
  upnpPinholeUpdate: "a device asks for itself",
  upnpPinholeDelete: "a device gives up what it asked for",
  withdraw: "the kernel refused",
  "devices.expire": "the clock's",
  "leases.expire": "the clock's",
  "leases.checkpoint": "the clock's",
  "confirmation.lapse": "the clock's",
  "interface.observe": "the machine's",
  "interface.lose": "the machine's",
  "listeners.observe": "the machine's",
  "settings.set": "the configuration file's, with a check of its own",
  "controller.start": "the program's",
  "controller.stop": "the program's",
  "instance.take-over": "the program's",
  "wireguard.key": "the program's, at the first start",
  "authority.create": "the program's, once TLS is asked for",
  "secret.show": "an entry in the audit that changes nothing",
  "dns.update": "a device's",
  "record.add": [
    (_rig, pick) =>
      post("/dns/records", { name: `n${pick % 4}.internal`, type: "A", value: `${LAN}${2 + (pick % 3)}` }),
    (_rig, pick) =>
      post("/dns/records", {
        name: `N${pick % 4}.Internal.`,
        type: "txt",
        value: `a ${pick % 3}`,
        ttl: 60 + (pick % 2),
      }),
    (_rig, pick) => post("/dns/records", { name: `alias${pick % 3}.example`, type: "CNAME", value: "n1.internal" }),
    (rig, pick) => {
      const views = [subnet(rig, pick)?.id ?? ""];
      return post("/dns/records", { name: `in${pick % 3}.example`, type: "A", value: `${LAN}${2 + pick}`, views });
    },
  ],
  "record.edit": [
    onRecord((id, pick) => patch(`/dns/records/${id}`, { ttl: 60 + (pick % 3) })),
    onRecord((id, pick, type) =>
      type === "A" ? patch(`/dns/records/${id}`, { value: `${LAN}${2 + (pick % 5)}`, ttl: 30 }) : null,
    ),
  ],
  "record.remove": [onRecord((id) => remove(`/dns/records/${id}`))],
  "name.allow": [
    onDevice((name, pick) => post(`/devices/${name}/allow-name`, { name: `shop${pick % 2}.example` })),
    onDevice((name, pick) => post(`/devices/${name}/deny-name`, { name: `shop${pick % 2}.example` })),
  ],
  "sign-in-link.issue": "an answer that is shown once, and no change to plan",
};

export const KINDS = (Object.keys(EDITS) as CommandType[]).filter((kind) => typeof EDITS[kind] !== "string");
export const editsOf = (kind: CommandType): readonly Edit[] => EDITS[kind] as readonly Edit[];

/** A gateway with WireGuard, and a row of every reconciler's to compare. */
export async function makeRouter(): Promise<Rig> {
  const rig = await makeRig();
  const { settings } = rig.controller.state;
  const wireguard = { interface: "wg0", listenPort: 51820, nonce: "same-host" } as const;
  const lan = [{ interface: "lan0", nonce: "same-host", devices: "any", ...NO_DNS, dns: true }] as const;
  await rig.submit({ type: "settings.set", settings: { ...settings, wireguard, lan: [...lan] } });
  const privateKeySecret = `s${"f".repeat(32)}`;
  const publicKey = Buffer.alloc(32, 255).toString("base64");
  await rig.submit({ type: "wireguard.key", publicKey, privateKeySecret }, "controller");
  const others: Readonly<Record<string, DesiredSource["select"]>> = {
    "nftables-guard": selectGuard(INSTANCE),
    "sni-routes": selectSni(INSTANCE),
    sysctls: selectSysctls(),
    wireguard: selectWireguard(),
    dns: selectDns(),
    routes: selectRoutes(),
    secrets: selectSecrets(),
  };
  const more = Object.entries(others).map(([reconciler, select]) => ({ reconciler, select, keysOf: () => [] }));
  (rig.deps.desired as DesiredSource[]).push(...more);
  return rig;
}

/** One of each thing there is. */
export async function inhabit(rig: Rig): Promise<void> {
  const calls: Call[] = [
    post("/subnets", { name: "home", prefix: "10.59.1.0/24" }),
    post("/devices", { name: "nas", kind: "server", subnet: "home" }),
    post("/devices", { name: "tv", interface: "lan0", address: `${LAN}2`, kind: "server" }),
    post("/devices/nas/allow-name", { name: "shop9.example" }),
    post("/dns/records", { name: "n9.internal", type: "A", value: `${LAN}9` }),
    post("/dns/records", { name: "n9.internal", type: "A", value: `${LAN}8` }),
    post("/devices/nas/allow", { protocol: "tcp", internalPort: 2000 }),
    post("/ports", { protocol: "tcp", externalPort: 8443, internalAddress: "10.59.1.2" }),
    post("/routes", { name: "nas.example.org", internalAddress: `${LAN}2` }),
    post("/tokens", { name: "ci9", scopes: ["read"], lifetime: null }),
    post("/password", { password: "a password of nobody" }),
    post("/reconcilers/nftables-forwards/pause", { seconds: 600 }),
  ];
  for (const { method, path, body } of calls) {
    const { status, text } = await rig.call(method, `/api/v1${path}`, body === undefined ? {} : { body });
    if (status >= 300) throw new Error(`${path}: ${text}`);
  }
  for (const internalPort of [2000, 2001]) await asks(rig, internalPort);
  const [asked] = [...tableRows(rig.controller.state.mappings)].filter(({ internalPort }) => internalPort === 2001);
  await rig.call("POST", `/api/v1/ports/${asked?.id}/block`);
}

async function enableTotp(rig: Rig): Promise<void> {
  for (const enable of editsOf("totp.enable")) {
    const call = await enable(rig, 0);
    if (call !== null) await rig.call(call.method, `/api/v1${call.path}`, { body: call.body ?? {} });
  }
}

/** A device asks for a port, as devices do between an operator's edits. */
export async function asks(rig: Rig, internalPort: number): Promise<void> {
  await rig.submit(mapRequest({ internalPort, suggestedPort: internalPort }), "pcp:192.168.77.2").catch(() => {});
}
