import { type DeviceChanged, deviceChanged } from "../../events/device.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import { tableGet } from "../../lib/table.ts";
import { UNMADE_KEY } from "../../lib/wireguard-key.ts";
import { mappingsOf } from "../device-mappings.ts";
import { releaseForOthers } from "../decide/in-their-place.ts";
import { blocksMoved } from "../decide/device-blocks.ts";
import { removedNames } from "../decide/device-names.ts";
import { outOfScope } from "../decide/dns-scope.ts";
import { deviceAt, deviceNamed, deviceWithKey } from "../device.ts";
import { namesOfDevice } from "../dns-record.ts";
import { viewOf } from "../dns-view.ts";
import { wanOf } from "../device-wan.ts";
import { allowanceKey, type Device, isPinhole, type Mapping, type State } from "../state.ts";
import {
  CHANGED_SINCE,
  type Description,
  fieldsBack,
  type Hindrance,
  objectKind,
  refOf,
  type RevertTerms,
  rowBack,
  saysManaged,
  timeText,
  unchanged,
} from "./kind.ts";
import { closedByLapse, openedSince, released } from "./subnet.ts";

const KIND = "device";

type Field = Exclude<keyof DeviceChanged, "id">;
const FIELDS = Object.keys(deviceChanged.shape).filter((field) => field !== "id") as Field[];
const SECRETS = ["privateKeySecret", "presharedKeySecret", "dnsKeySecret"] as const;

export const devices = objectKind<Device>({
  name: KIND,
  keysOf: ({ type, data }) =>
    type === "device.added" || type === "device.changed" || type === "device.removed" ? [data.id] : [],
  read: (state, key) => tableGet(state.devices, key),
  describe,
  erases,
  takeAway(made, now, terms) {
    if (!unchanged(made, now, FIELDS)) return changedSince(now);
    const allowed = Object.values(terms.now.allowances).find(({ device, protocol, internalPort }) => {
      return device === now.id && !terms.own.has(refOf("allowance", allowanceKey(device, protocol, internalPort)));
    });
    if (allowed !== undefined) {
      const { device, protocol, internalPort } = allowed;
      const by = [refOf("allowance", allowanceKey(device, protocol, internalPort))];
      return { why: `it was allowed ${internalPort}/${protocol} since`, by };
    }
    const there = mappingsOf(terms.now, now);
    const forOthers = releaseForOthers(terms.now, now, null);
    const gone = event("device.removed", { id: now.id, reason: "operator" });
    const names = terms.lapse ? removedNames(terms.now, now, "device") : [];
    return (
      openedSince(there, terms) ??
      namedSince(now, terms) ?? [...closedByLapse(there, terms), ...forOthers, ...names, gone]
    );
  },
  edit(versions, terms) {
    const { now } = versions;
    const fields = fieldsBack(versions, FIELDS);
    if (fields === null) return changedSince(now);
    if (Object.keys(fields).length === 0) return [];
    const wanted: Device = { ...now, ...fields };
    const [left, byRight] = [leftBehind(wanted, now, terms), openedByRight(wanted, now, terms)];
    const lost = namedByRight(wanted, now, terms);
    const hindrance =
      rivalOf(wanted, terms) ??
      openedSince(left, terms) ??
      hindranceOf(byRight, terms) ??
      publishedHindrance(lost, terms);
    const forOthers = releaseForOthers(terms.now, now, wanted);
    const closed = [...closedByLapse(left, terms), ...byRight.flatMap(released), ...forOthers, ...lost.map(withdrawn)];
    const blocks = blocksMoved(terms.now, now, wanted.address, (key) => !terms.own.has(refOf("block", key)));
    return hindrance ?? [...closed, ...blocks, event("device.changed", { id: now.id, ...fields })];
  },
  giveBack({ createdAt: _at, createdSeq: _seq, revision: _revision, ...device }, terms) {
    if (device.expiresAt !== null && device.expiresAt <= terms.at) return [];
    if (device.subnet !== null && terms.now.subnets[device.subnet] === undefined) {
      const subnet = refOf("subnet", device.subnet);
      if (!terms.own.has(subnet)) return { why: "its subnet is gone", by: [subnet] };
    }
    const allowed = Object.values(terms.before.allowances).filter((allowance) => allowance.device === device.id);
    const allowances = allowed.map(({ protocol, internalPort }) =>
      event("allowance.granted", { device: device.id, protocol, internalPort }),
    );
    const names = Object.values(terms.before.allowedNames)
      .filter((allowed) => allowed.device === device.id)
      .map(({ name }) => event("name.allowed", { device: device.id, name }));
    return rivalOf(device, terms) ?? [event("device.added", device), ...allowances, ...names];
  },
});

/** What a device is once a change is taken back; undefined: it is gone. */
export function revertedDevice(id: string, { before, after, now, own }: RevertTerms): Device | undefined {
  const rowOf = ({ devices: rows }: State): Device | undefined => tableGet(rows, id);
  if (!own.has(refOf(KIND, id))) return rowOf(now);
  return rowBack({ before: rowOf(before), after: rowOf(after), now: rowOf(now) }, FIELDS);
}

const changedSince = ({ id }: Device): Hindrance => ({ why: CHANGED_SINCE, by: [refOf(KIND, id)] });

function describe(device: Device, state: State): Description {
  const { name, kind, address, subnet, interface: lan, ports, dns, wan, expiresAt, profile, publicKey } = device;
  const made = device.privateKeySecret === null ? "its own" : "made here";
  const key = UNMADE_KEY.test(publicKey ?? "") ? "a new one" : publicKey;
  return {
    name,
    says: {
      kind,
      address,
      on: subnet === null ? `${lan}` : (state.subnets[subnet]?.name ?? subnet),
      "may open ports": ports,
      "may publish names": dns,
      ...(device.zones.length > 0 && { zones: device.zones.join(", ") }),
      ...(device.mapsFor.length > 0 && { "asks in the place of": device.mapsFor.join(", ") }),
      "leaves by": wan ?? "its subnet's WAN",
      ends: timeText(expiresAt),
      configuration: profile ?? "as its kind has it",
      key: key === null ? "none" : `${key}, ${made}`,
      ...saysManaged(device),
    },
  };
}

function erases({ type, data }: PortreeveEvent, before: State): string | null {
  if (type !== "device.removed" && type !== "device.changed") return null;
  const device = tableGet(before.devices, data.id);
  if (device === undefined) return null;
  const erased = SECRETS.filter((secret) => {
    return device[secret] !== null && (type === "device.removed" || data[secret] !== undefined);
  });
  return erased.length === 0 ? null : `the keys of ${device.name} are erased with it`;
}

/** Names, addresses and keys are one device's; who gives one up by the same undo is not in the way. */
function rivalOf(device: Pick<Device, "id" | Field | "interface">, terms: RevertTerms): Hindrance | null {
  const { now } = terms;
  const { id, name, interface: lan, address, publicKey } = device;
  const rivals: readonly [Device | undefined, "name" | "address" | "publicKey", (other: Device) => string][] = [
    [deviceNamed(now, name), "name", () => `another device is called ${name} now`],
    [deviceAt(now, lan, address), "address", (other) => `${address} is the address of ${other.name} now`],
    [
      publicKey === null ? undefined : deviceWithKey(now, publicKey),
      "publicKey",
      (other) => `${other.name} has its key now`,
    ],
  ];
  for (const [other, field, why] of rivals) {
    if (other === undefined || other.id === id || revertedDevice(other.id, terms)?.[field] !== other[field]) continue;
    return { why: why(other), by: [refOf(KIND, other.id)] };
  }
  return null;
}

/** Ports that lead to the address, or are on the WAN, that it would leave: nothing of the change moves them back. */
function leftBehind(wanted: Device, now: Device, terms: RevertTerms): Mapping[] {
  const wan = wanOf(terms.now, wanted);
  const moves = wanted.address !== now.address;
  const there = wanted.wan === now.wan && !moves ? [] : mappingsOf(terms.now, now);
  return there.filter((mapping) => moves || (mapping.wan !== wan && !isPinhole(mapping)));
}

/** Names that it was let have, or has taken, since the change that made it; nobody keeps itself by taking one. */
function namedSince({ id }: Device, { now, own, lapse }: RevertTerms): Hindrance | null {
  const allowed = Object.entries(now.allowedNames).filter(([, { device }]) => device === id);
  const taken = lapse ? [] : namesOfDevice(now, id).flatMap(({ records }) => records);
  const refs = [
    ...allowed.map(([key]) => refOf("name", key)),
    ...taken.map((record) => refOf("record", record.id)),
  ].filter((ref) => !own.has(ref));
  return refs.length === 0 ? null : { why: "it has names by now", by: refs };
}

/** What it published under the rights that it would lose. */
function namedByRight(wanted: Device, now: Device, { now: state, own }: RevertTerms): { name: string; id: string }[] {
  if (unchanged(wanted, now, ["name", "kind", "dns", "zones"]) || state.namesOf.size === 0) return [];
  const view = viewOf(state, wanted);
  return namesOfDevice(state, now.id)
    .filter(({ name }) => view === undefined || outOfScope(state, wanted, view, name) !== null)
    .flatMap(({ name, records }) => records.map(({ id }) => ({ name, id })))
    .filter(({ id }) => !own.has(refOf("record", id)));
}

function publishedHindrance(lost: ReturnType<typeof namedByRight>, { lapse }: RevertTerms): Hindrance | null {
  if (lost.length === 0 || lapse) return null;
  const names = [...new Set(lost.map(({ name }) => name))].join(", ");
  return { why: `it has published ${names} since`, by: lost.map(({ id }) => refOf("record", id)) };
}

const withdrawn = ({ id }: { readonly id: string }): PortreeveEvent => event("record.removed", { id, reason: "right" });

/** What it opened itself since it got the right that it would lose. */
function openedByRight(wanted: Device, now: Device, { now: state, own }: RevertTerms): Mapping[] {
  if (wanted.ports !== "off" || now.ports === "off") return [];
  return mappingsOf(state, now).filter(({ id, claims }) => {
    return !own.has(refOf("port", id)) && claims.some(({ device }) => device !== null);
  });
}

function hindranceOf(opened: readonly Mapping[], { lapse }: RevertTerms): Hindrance | null {
  if (lapse || opened.length === 0) return null;
  const names = opened.map(({ externalPort, protocol }) => `${externalPort}/${protocol}`).join(", ");
  return { why: `it opened ${names} since`, by: opened.map(({ id }) => refOf("port", id)) };
}
