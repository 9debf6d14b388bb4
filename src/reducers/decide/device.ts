import { ownRow } from "../../lib/own-row.ts";
import { OPERATOR_CLAIM } from "../../events/claim-key.ts";
import type { DeviceAdded, DeviceKind, Profile, Right } from "../../events/device.ts";
import type { Transport } from "../../events/fields.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import {
  isNetworkEnd,
  formatIpv4,
  isHostIpv4,
  networkOf,
  parseIpv4,
  parseIpv4Prefix,
  prefixContains,
} from "../../lib/ip.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import { distinctNetworks } from "../../lib/networks.ts";
import { tableGet, tableRows } from "../../lib/table.ts";
import { deviceAt, deviceNamed, deviceWithKey } from "../device.ts";
import { heldByOperator } from "../operator-holds.ts";
import { allowanceKey, type Device, isPinhole, type State, type Subnet } from "../state.ts";
import type { CommandEnvelope, Decision, Refusal, SubmissionOf } from "./command.ts";
import { blocksMoved } from "./device-blocks.ts";
import { badNames, removedNames, withdrawAllowedNames, withdrawnNames } from "./device-names.ts";
import { Draft } from "./draft.ts";
import { eachClaimOnce, releaseForOthers } from "./in-their-place.ts";
import { rekeyed, releaseOwn, removal, withdrawAllowances } from "./device-ports.ts";
import { mappingsOf } from "../device-mappings.ts";
import { markOf } from "./mark.ts";
import { newId } from "./new-id.ts";
import { accept, refuse } from "./refusal.ts";
import { unknownWan } from "./wan.ts";

export type DeviceCommand =
  | {
      readonly type: "device.add";
      readonly name: string;
      readonly kind: DeviceKind;
      /** Exactly one of the two. */
      readonly subnet: string | null;
      readonly interface: string | null;
      /** Null: the first free one of the subnet. */
      readonly address: string | null;
      /** On a subnet always; the secrets are sealed already. */
      readonly publicKey: string | null;
      readonly privateKeySecret: string | null;
      readonly presharedKeySecret: string | null;
      /** On a LAN: what its DNS updates are signed with, sealed already. */
      readonly dnsKeySecret?: string | null;
      /** Zones delegated to it. */
      readonly zones?: readonly string[];
      /** Networks whose hosts it may ask for ports in the place of. */
      readonly mapsFor?: readonly string[];
      /** Null: what its kind has. */
      readonly ports: Right | null;
      readonly dns: Right | null;
      readonly wan: string | null;
      /** Seconds; null: no end. */
      readonly lifetime: number | null;
      readonly profile: Profile | null;
      /** The declaration that it is of. */
      readonly managedBy?: string;
    }
  | ({ readonly type: "device.edit"; readonly id: string; readonly lifetime?: number | null } & Partial<
      Omit<DeviceAdded, "id" | "subnet" | "interface" | "expiresAt" | "managedBy">
    >)
  | { readonly type: "device.remove"; readonly id: string }
  /** Ends those whose time has come. */
  | { readonly type: "devices.expire" }
  | {
      readonly type: "device.allow";
      readonly id: string;
      readonly protocol: Transport;
      readonly internalPort: number;
      /** False takes a yes back, and ends what it opened. */
      readonly allowed: boolean;
    }
  /** Somebody is about to be shown a secret. */
  | { readonly type: "secret.show"; readonly device: string; readonly what: "config" | "key" | "link" | "dns-key" }
  | { readonly type: "wireguard.key"; readonly publicKey: string; readonly privateKeySecret: string };

/** As many as one gateway is measured with. */
const DEVICES_MAX = 16_384;

export const rightsOf = (kind: DeviceKind): { ports: Right; dns: Right } =>
  kind === "server" ? { ports: "auto", dns: "auto" } : { ports: "off", dns: "off" };

export function decideDeviceAdd(command: SubmissionOf<"device.add">, state: State): Decision {
  if (state.devices.size >= DEVICES_MAX) {
    return refuse("QUOTA_EXCEEDED", `there are ${DEVICES_MAX} devices, as many as there may be; remove one first`);
  }
  const bad =
    badName(state, command.name, null) ??
    badWan(state, command.wan) ??
    badKey(state, command, null) ??
    badNetworks(command);
  if (bad !== null) return { ok: false, refusal: bad };
  const address = addressFor(command, state);
  if (typeof address !== "string") return { ok: false, refusal: address };
  const { name, kind, subnet, interface: lan, publicKey, privateKeySecret, presharedKeySecret, profile, wan } = command;
  const rights = rightsOf(kind);
  const id = newId("d", state, command);
  const added: DeviceAdded = {
    id,
    name,
    kind,
    subnet,
    interface: lan,
    address,
    publicKey,
    privateKeySecret,
    presharedKeySecret,
    ports: command.ports ?? rights.ports,
    dns: command.dns ?? rights.dns,
    wan,
    expiresAt: endOf(command, command.lifetime),
    profile,
    dnsKeySecret: command.dnsKeySecret ?? null,
    zones: [...(command.zones ?? [])],
    mapsFor: networksOf(command) ?? [],
    ...markOf(command),
  };
  const refusal = badNames(state, added);
  if (refusal !== null) return { ok: false, refusal };
  return accept([event("device.added", added)], { kind: "ids", ids: [id] });
}

const endOf = ({ now }: CommandEnvelope, lifetime: number | null): number | null =>
  lifetime === null ? null : now + lifetime * 1000;

function addressFor(command: SubmissionOf<"device.add">, state: State): string | Refusal {
  const { subnet: subnetId, interface: lan, address } = command;
  if ((subnetId === null) === (lan === null))
    return invalid("a device is on a subnet or on a LAN: name one of the two");
  if (lan !== null) {
    if (!state.settings.lan.some((each) => each.interface === lan)) {
      return invalid(`${lan} is no served LAN; \`lan\` in the configuration lists them`);
    }
    return address === null
      ? invalid("a device on a LAN is known by its address; name it")
      : usable(state, lan, address);
  }
  const subnet = ownRow(state.subnets, subnetId as string);
  if (subnet === undefined) return { code: "NOT_FOUND", message: `there is no subnet ${subnetId}` };
  return address === null ? firstFree(state, subnet) : usable(state, null, address, subnet);
}

/** Whether an address can be a device's there. */
function usable(state: State, site: string | null, address: string, subnet?: Subnet): string | Refusal {
  const value = parseIpv4(address);
  if (value === null || !isHostIpv4(address)) return invalid(`${address} is not an address a device can have`);
  const taken = deviceAt(state, site, address);
  if (taken !== undefined) return { code: "CONFLICT", message: `${address} is the address of ${taken.name}` };
  if (subnet === undefined) return address;
  const prefix = parseIpv4Prefix(subnet.prefix);
  if (prefix === null || !prefixContains(prefix, value)) {
    return invalid(`${address} is not in ${subnet.name} (${subnet.prefix})`);
  }
  if (isNetworkEnd(prefix, value)) {
    return invalid(`${address} is the address of the whole subnet, not of a host in it`);
  }
  return value === prefix.address ? invalid(`${address} is the gateway's own address`) : address;
}

/** `after`: an address of the subnet up to which none is free. */
export function firstFree(state: State, subnet: Subnet, after?: string): string | Refusal {
  const prefix = parseIpv4Prefix(subnet.prefix) as { address: number; length: number };
  const last = networkOf(prefix) + 2 ** (32 - prefix.length) - 2;
  const from = after === undefined ? prefix.address : (parseIpv4(after) as number);
  for (let value = from + 1; value <= last; value += 1) {
    const address = formatIpv4(value);
    if (deviceAt(state, null, address) === undefined) return address;
  }
  return { code: "CONFLICT", message: `${subnet.name} (${subnet.prefix}) has no free address; add another subnet` };
}

export function decideDeviceEdit(command: SubmissionOf<"device.edit">, state: State): Decision {
  const device = tableGet(state.devices, command.id);
  if (device === undefined) return unknownDevice(command.id);
  const networks = badNetworks(command);
  if (networks !== null) return { ok: false, refusal: networks };
  const fields = changesOf(command, device);
  const answer = { kind: "ids", ids: [device.id] } as const;
  if (Object.keys(fields).length === 0) return accept([], answer);
  const bad =
    (fields.name === undefined ? null : badName(state, fields.name, device.id)) ??
    badWan(state, fields.wan ?? null) ??
    (fields.publicKey === undefined ? null : badKey(state, { ...device, ...fields }, device.id)) ??
    (fields.name === undefined && fields.zones === undefined ? null : badNames(state, { ...device, ...fields }));
  if (bad !== null) return { ok: false, refusal: bad };
  const after: Device = { ...device, ...fields };
  const events: PortreeveEvent[] = [];
  if (fields.address !== undefined) {
    const moved = moveTo(state, device, fields.address);
    if ("code" in moved) return { ok: false, refusal: moved };
    events.push(...moved);
  }
  if (fields.wan !== undefined) {
    // At another address what it asked for itself has ended by that already.
    const draft = new Draft(command, state);
    draft.log(events);
    const moved = rekeyed({ state: draft.state, command }, [after]);
    if ("code" in moved) return { ok: false, refusal: moved };
    events.push(...moved);
  }
  if (after.ports === "off" && device.ports !== "off") events.push(...withdrawPorts(state, device, fields));
  events.push(...releaseForOthers(state, device, after), ...namesLost(command, state, device, fields));
  return accept([...events, event("device.changed", { id: device.id, ...fields })], answer);
}

/** What it may not publish any more, and with the right itself every yes to a name. */
function namesLost(command: CommandEnvelope, state: State, device: Device, fields: Changes): PortreeveEvent[] {
  if (fields.dns === "off") return [...removedNames(state, device, "right"), ...withdrawAllowedNames(state, device)];
  if (state.namesOf.size === 0 || !RULING.some((field) => fields[field] !== undefined)) return [];
  const draft = new Draft(command, state);
  draft.log([event("device.changed", { id: device.id, ...fields })]);
  return withdrawnNames(draft.state, tableGet(draft.state.devices, device.id) as Device);
}

/** What says which names it may publish. */
const RULING = ["name", "kind", "dns", "zones", "address"] as const;

/** The right to open ports goes, and with it what it opened and what was allowed. */
function withdrawPorts(state: State, device: Device, { address }: Changes): PortreeveEvent[] {
  // A device that moves has lost its own ports by that already.
  const released = address === undefined ? releaseOwn(state, device) : [];
  return [...released, ...withdrawAllowances(state, device)];
}

/** At another address the device asks anew; what an operator forwards to it, and has blocked, follows it. */
function moveTo(state: State, device: Device, address: string): PortreeveEvent[] | Refusal {
  const subnet = device.subnet === null ? undefined : state.subnets[device.subnet];
  const free = usable(state, device.interface, address, subnet);
  if (typeof free !== "string") return free;
  const kept = mappingsOf(state, device).filter(heldByOperator);
  const [pinholes, forwards] = [kept.filter(isPinhole), kept.filter((mapping) => !isPinhole(mapping))];
  return [
    ...releaseOwn(state, device),
    ...pinholes.map(({ id }) =>
      event("lease.released", { mappingId: id, claimKey: OPERATOR_CLAIM, reason: "operator" }),
    ),
    ...forwards.map((mapping) => event("mapping.changed", { id: mapping.id, internalAddress: address })),
    ...blocksMoved(state, device, address),
  ];
}

type Changes = Partial<Omit<DeviceAdded, "id" | "subnet" | "interface" | "managedBy">>;

const EDITABLE = [
  "name",
  "kind",
  "ports",
  "dns",
  "wan",
  "profile",
  "address",
  "publicKey",
  "privateKeySecret",
  "presharedKeySecret",
  "dnsKeySecret",
  "zones",
  "mapsFor",
] as const;

function changesOf(command: SubmissionOf<"device.edit">, device: Device): Changes {
  // Another kind has its own rights, unless the same edit names others.
  const wanted = command.kind === undefined || command.kind === device.kind ? {} : rightsOf(command.kind);
  const asked = Object.fromEntries(
    EDITABLE.flatMap((key) => (command[key] === undefined ? [] : [[key, command[key]]])),
  );
  const all: Changes = { ...wanted, ...asked };
  if (command.mapsFor !== undefined) all.mapsFor = networksOf(command) ?? device.mapsFor;
  if (command.lifetime !== undefined) all.expiresAt = endOf(command, command.lifetime);
  const changed = Object.entries(all).filter(
    ([key, value]) => canonicalJson(device[key as keyof Device] ?? null) !== canonicalJson(value),
  );
  return Object.fromEntries(changed) as Changes;
}

export function decideDeviceRemove(command: SubmissionOf<"device.remove">, state: State): Decision {
  const device = tableGet(state.devices, command.id);
  if (device === undefined) return unknownDevice(command.id);
  return accept(removal(state, device, "operator"), { kind: "ids", ids: [device.id] });
}

export function decideDevicesExpire(command: CommandEnvelope, state: State): Decision {
  const due = [...tableRows(state.devices)]
    .filter((device) => device.expiresAt !== null && device.expiresAt <= command.now)
    .sort((a, b) => a.createdSeq - b.createdSeq);
  return accept(eachClaimOnce(due.flatMap((device) => removal(state, device, "expired"))), { kind: "done" });
}

export function decideDeviceAllow(command: SubmissionOf<"device.allow">, state: State): Decision {
  const device = tableGet(state.devices, command.id);
  if (device === undefined) return unknownDevice(command.id);
  const { protocol, internalPort } = command;
  const allowance = { device: device.id, protocol, internalPort };
  const held = state.allowances[allowanceKey(device.id, protocol, internalPort)] !== undefined;
  if (held === command.allowed) return accept([], { kind: "done" });
  if (command.allowed) return accept([event("allowance.granted", allowance)], { kind: "done" });
  const opened = mappingsOf(state, device)
    .filter((mapping) => mapping.protocol === protocol)
    // A set of ports ends as one.
    .filter((mapping) => internalPort >= mapping.internalPort && internalPort < mapping.internalPort + mapping.count)
    .flatMap((mapping) =>
      mapping.claims
        .filter((claim) => claim.device !== null)
        .map((claim) => event("lease.released", { mappingId: mapping.id, claimKey: claim.key, reason: "operator" })),
    );
  return accept([...opened, event("allowance.withdrawn", allowance)], { kind: "done" });
}

export function decideSecretShow(command: SubmissionOf<"secret.show">, state: State): Decision {
  const { device, what } = command;
  if (tableGet(state.devices, device) === undefined) return unknownDevice(device);
  return accept([event("secret.shown", { device, what })], { kind: "done" });
}

export function decideWireguardKey(command: SubmissionOf<"wireguard.key">): Decision {
  const { publicKey, privateKeySecret } = command;
  return accept([event("wireguard.keyed", { publicKey, privateKeySecret })], { kind: "done" });
}

function badName(state: State, name: string, self: string | null): Refusal | null {
  const other = deviceNamed(state, name);
  if (other === undefined || other.id === self) return null;
  return { code: "CONFLICT", message: `there is a device ${name} (${other.address}) already; names are unique` };
}

const networksOf = ({ mapsFor = [] }: { readonly mapsFor?: readonly string[] }) => distinctNetworks(mapsFor);

const badNetworks = (command: { readonly mapsFor?: readonly string[] }): Refusal | null =>
  networksOf(command) === null ? invalid("what a device may ask for is hosts and IPv4 networks") : null;

const badWan = (state: State, wan: string | null): Refusal | null => (wan === null ? null : unknownWan(state, wan));

function badKey(
  state: State,
  { subnet, publicKey, presharedKeySecret }: Pick<Device, "subnet" | "publicKey" | "presharedKeySecret">,
  self: string | null,
): Refusal | null {
  if (subnet === null) return publicKey === null ? null : invalid("a device on a LAN has no WireGuard key");
  if (publicKey === null || presharedKeySecret === null) return invalid("a device on a subnet needs its keys");
  if (publicKey === state.wireguard?.publicKey) return invalid("that is the gateway's own public key");
  const other = deviceWithKey(state, publicKey);
  if (other === undefined || other.id === self) return null;
  return { code: "CONFLICT", message: `${other.name} has that public key; each device has its own` };
}

const invalid = (message: string): Refusal => ({ code: "INVALID_REQUEST", message });

function unknownDevice(id: string): Decision {
  return refuse("NOT_FOUND", `there is no device ${id}; \`portreeve device list\` shows those there are`);
}
