import { event, type PortreeveEvent } from "../../events/index.ts";
import { type Claim, mappingChanged, type MappingChanged } from "../../events/mapping.ts";
import { tableGet, tableRows } from "../../lib/table.ts";
import type { Refusal } from "../decide/command.ts";
import { mayAskFor } from "../delegation.ts";
import { closedToPinholes } from "../decide/pinhole.ts";
import { badPlace } from "../decide/port.ts";
import { servedInterfaceOf } from "../decide/served-place.ts";
import { inTheWay } from "../sharing.ts";
import { unknownWan } from "../decide/wan.ts";
import { deviceAt } from "../device.ts";
import { deviceIpv6 } from "../ipv6-host.ts";
import { filterText, sameFilters } from "../reach.ts";
import { servedInterface, siteOf, tunnelInterface } from "../served.ts";
import { allowanceKey, type Device, hostOf, internalKey, isPinhole, type Mapping, type State } from "../state.ts";
import { revertedDevice } from "./device.ts";
import {
  CHANGED_SINCE,
  type Description,
  fieldsBack,
  type Hindrance,
  objectKind,
  refOf,
  type Reverted,
  type RevertTerms,
  timeText,
  unchanged,
} from "./kind.ts";
import { revertedSubnet } from "./subnet.ts";

const KIND = "port";

type Field = Exclude<keyof MappingChanged, "id">;
const FIELDS = Object.keys(mappingChanged.shape).filter((field) => field !== "id") as Field[];
/** The rest of them change nothing of where packets go. */
const ELSEWHERE: ReadonlySet<Field> = new Set(["label", "enabled"]);

export const ports = objectKind<Mapping>({
  name: KIND,
  keysOf,
  read: (state, key) => tableGet(state.mappings, key),
  describe,
  takeAway(made, now) {
    const joined = now.claims.some(({ key }) => claimOf(made, key) === undefined);
    if (joined || !unchanged(made, now, FIELDS)) return { why: CHANGED_SINCE, by: [refOf(KIND, now.id)] };
    return now.claims.map((claim) => release(now, claim));
  },
  edit: ({ before, after, now }, terms) => turnBack(before, after, now, terms),
  giveBack(ended, terms) {
    const claims = ended.claims.filter((claim) => isWanted(ended, claim, terms));
    if (claims.length === 0) return [];
    const wanted = { ...ended, claims, interface: presentInterface(ended, terms) };
    return hindranceOf(wanted, claims, terms) ?? [restored(wanted)];
  },
});

/** Renewals name many mappings and change what is the case with none. */
function keysOf({ type, data }: PortreeveEvent): string[] {
  switch (type) {
    case "mapping.granted":
    case "mapping.changed":
    case "mapping.restored":
      return [data.id];
    case "lease.granted":
    case "lease.changed":
    case "lease.released":
    case "lease.expired":
      return [data.mappingId];
    default:
      return [];
  }
}

/** "8443/tcp", "49152-49251/udp", "443/tcp of nas.example.org". */
export function portName({ externalPort, count, protocol, name }: Mapping): string {
  const last = count === 1 ? "" : `-${externalPort + count - 1}`;
  return `${externalPort}${last}/${protocol}${name === null ? "" : ` of ${name}`}`;
}

function describe(mapping: Mapping): Description {
  const { internalAddress, internalPort, count, wan, label, enabled, sourceAddress, from, claims } = mapping;
  const last = count === 1 ? "" : `-${internalPort + count - 1}`;
  const host = isPinhole(mapping) ? `[${internalAddress}]` : internalAddress;
  const ends = claims.map((claim) => claim.expiresAt);
  return {
    name: portName(mapping),
    says: {
      to: `${host}:${internalPort}${last}`,
      on: isPinhole(mapping) ? "its own address" : wan,
      label: label ?? "none",
      is: enabled ? "open" : "closed",
      "reached from": from.length === 0 ? "everywhere" : from.join(", "),
      "its host sees":
        sourceAddress === null
          ? "visitors as its profile wants it"
          : sourceAddress === "keep"
            ? "visitors"
            : "the gateway",
      "asked for by": claims.map(claimText).join(", "),
      ends: timeText(ends.includes(null) ? null : Math.max(...(ends as number[]))),
    },
  };
}

function claimText({ source, device, managedBy, filters, enabled }: Claim): string {
  const peers = filters.length === 0 ? "" : ` for ${filters.map(filterText).join(" ")}`;
  if (device !== null) return `${device} by ${source}${peers}${enabled ? "" : ", not now"}`;
  return `${managedBy === undefined ? "an operator" : `the declaration ${managedBy}`}${peers}`;
}

function turnBack(before: Mapping, after: Mapping, now: Mapping, terms: RevertTerms): Reverted {
  const joined = now.claims.filter(({ key }) => !claimOf(before, key) && claimOf(after, key));
  const releases = joined.map((claim) => release(now, claim));
  if (terms.revoke) return releases;
  const fields = fieldsBack({ before, after, now }, FIELDS);
  const claimTerms = claimTermsBack(before, after, now, terms.at);
  if (fields === null || claimTerms === null) return { why: CHANGED_SINCE, by: [refOf(KIND, now.id)] };
  const ended = before.claims.filter(({ key }) => !claimOf(after, key) && !claimOf(now, key));
  const returning = ended.filter((claim) => isWanted(now, claim, terms));
  // Without the claim that the change added nobody wants it any more, whatever else was changed.
  if (joined.length === now.claims.length && returning.length === 0) return releases;
  const wanted: Mapping = { ...now, ...fields };
  const changed = Object.keys(fields) as Field[];
  if (changed.some((field) => !ELSEWHERE.has(field)) || returning.length > 0) {
    const hindrance = hindranceOf(wanted, returning, terms);
    if (hindrance !== null) return hindrance;
  }
  if (returning.length > 0) {
    const kept = now.claims.filter((claim) => !joined.includes(claim));
    const claims = inOrderOf(before, [...kept, ...returning]);
    return [...releases, restored({ ...wanted, claims, interface: presentInterface(wanted, terms) }), ...claimTerms];
  }
  const edits = changed.length === 0 ? [] : [event("mapping.changed", { id: now.id, ...fields })];
  return [...releases, ...edits, ...claimTerms];
}

/** The name that its interface has now: the one of WireGuard may have been another. */
function presentInterface(mapping: Mapping, { now }: RevertTerms): string | null {
  const there = servedInterfaceOf(now, hostOf(mapping));
  return there !== null && there === tunnelInterface(now) ? there : mapping.interface;
}

/** Ends, and whom claims let in, that the change set, as they were before; null where they were set again since. */
function claimTermsBack(before: Mapping, after: Mapping, now: Mapping, at: number): PortreeveEvent[] | null {
  const events: PortreeveEvent[] = [];
  for (const old of before.claims) {
    const [set, present] = [claimOf(after, old.key), claimOf(now, old.key)];
    if (set === undefined || present === undefined || sameTerms(old, set)) continue;
    if (!sameTerms(set, present)) return null;
    const { key: claimKey, lifetime, expiresAt } = old;
    const peers = sameFilters(old.filters, set.filters) ? {} : { filters: old.filters };
    const expired = event("lease.expired", { mappingId: now.id, claimKey });
    events.push(
      isOver(old, at)
        ? expired
        : event("lease.changed", { mappingId: now.id, claimKey, lifetime, expiresAt, ...peers }),
    );
  }
  return events;
}

/** Why packets may not go that way again, or a device may not have it again. */
function hindranceOf(mapping: Mapping, returning: readonly Claim[], terms: RevertTerms): Hindrance | null {
  const { now, own } = terms;
  const bad = isPinhole(mapping)
    ? closedPinhole(mapping, terms)
    : (unknownWan(now, mapping.wan) ?? badPlace(now, mapping));
  if (bad !== null) return { why: bad.message, by: [] };
  for (const other of inTheWay(now, mapping, mapping.id)) {
    if (own.has(refOf(KIND, other.id))) continue;
    return {
      why: `${portName(other)} goes to ${other.internalAddress}:${other.internalPort} now`,
      by: [refOf(KIND, other.id)],
    };
  }
  const asked = returning.filter(({ device }) => device !== null);
  return asked.length === 0 ? null : (withoutRight(mapping, terms) ?? withoutDelegation(mapping, asked, terms));
}

/** Why nobody can be let in there again. */
function closedPinhole(mapping: Mapping, terms: RevertTerms): Refusal | null {
  const { internalAddress, interface: name, protocol, internalPort } = mapping;
  const isInTunnel = name !== null && siteOf(terms.now, name) === null;
  if (isInTunnel && !isSomebodys(mapping, terms)) {
    return { code: "NOT_FOUND", message: `${internalAddress} is nobody's now` };
  }
  return closedToPinholes(terms.now, protocol, internalPort);
}

/** Whether a device of a subnet has the IPv6 address once the change is taken back: by its own address and the prefix. */
function isSomebodys(mapping: Mapping, terms: RevertTerms): boolean {
  return [terms.before, terms.now].some((state) => {
    const there = deviceAt(state, null, hostOf(mapping));
    const device = there === undefined ? undefined : revertedDevice(there.id, terms);
    if (device === undefined || device.subnet === null || device.address !== hostOf(mapping)) return false;
    const subnet = revertedSubnet(device.subnet, terms);
    const subnets = subnet === undefined ? {} : { [subnet.id]: subnet };
    return deviceIpv6({ subnets }, device) === mapping.internalAddress;
  });
}

/** Why nobody may ask in the place of the host any more who did. */
function withoutDelegation(
  { internalAddress }: Mapping,
  claims: readonly Claim[],
  terms: RevertTerms,
): Hindrance | null {
  const { before, now } = terms;
  const ids = new Set([...tableRows(before.devices), ...tableRows(now.devices)].map(({ id }) => id));
  for (const { device: asker } of claims) {
    if (asker === internalAddress) continue;
    const back = [...ids].flatMap((id) => revertedDevice(id, terms) ?? []);
    if (back.some((device) => device.address === asker && mayAskFor(device, internalAddress))) continue;
    const then = [...tableRows(before.devices)].find(({ address }) => address === asker);
    const by = then === undefined ? [] : [refOf("device", then.id)];
    return { why: `${asker} may not ask in the place of ${internalAddress}`, by };
  }
  return null;
}

/** Why the device behind a claim may not have it now. */
function withoutRight(mapping: Mapping, terms: RevertTerms): Hindrance | null {
  const { before, now, own } = terms;
  const { internalAddress, internalPort, protocol } = mapping;
  const key = internalKey(internalAddress, protocol, internalPort);
  // One that was there before was no reason then: it says no to new ones only.
  if (now.blocks[key] !== undefined && before.blocks[key] === undefined && !own.has(refOf("block", key))) {
    return { why: `${internalAddress} may not ask for ${internalPort}/${protocol}`, by: [refOf("block", key)] };
  }
  const served = mapping.interface === null ? undefined : servedInterface(now, mapping.interface);
  const host = hostOf(mapping);
  const site = (state: State) => deviceAt(state, served?.tunnel === false ? served.interface : null, host);
  const returns = site(before);
  const wanted =
    returns !== undefined && own.has(refOf("device", returns.id)) ? revertedDevice(returns.id, terms) : null;
  // It may have left the address since.
  const back = wanted?.address === host ? wanted : null;
  if (back == null && served === undefined) {
    return { why: `${mapping.interface ?? internalAddress} is not served now`, by: [] };
  }
  const device = back ?? site(now);
  if (device === undefined) {
    return served?.devices === "any" ? null : { why: `${internalAddress} is no registered device`, by: [] };
  }
  const yes = yesTo(mapping, device, terms);
  if (device.ports === "auto" || (device.ports === "ask" && yes.holds)) return null;
  // It had the port under the very same rights: they say no to new ones only.
  if (device.ports === returns?.ports && !yes.withdrawn) return null;
  return { why: `${device.name} may not open ${internalPort}/${protocol}`, by: [refOf("device", device.id)] };
}

/** An admin's yes to each port of a mapping, once the change is taken back: whether it is there, and whether it was. */
function yesTo(
  { protocol, internalPort, count }: Mapping,
  { id }: Device,
  { before, after, now, own }: RevertTerms,
): { readonly holds: boolean; readonly withdrawn: boolean } {
  const found = { holds: true, withdrawn: false };
  for (let port = internalPort; port < internalPort + count; port += 1) {
    const key = allowanceKey(id, protocol, port);
    const then = before.allowances[key] !== undefined;
    // It may come back with the port; a device that comes back brings its own.
    const returns = then && (own.has(refOf("allowance", key)) || tableGet(after.devices, id) === undefined);
    if (now.allowances[key] !== undefined || returns) continue;
    found.holds = false;
    if (then) found.withdrawn = true;
  }
  return found;
}

const claimOf = ({ claims }: Mapping, key: string): Claim | undefined => claims.find((claim) => claim.key === key);

/** Neither over nor given up by its own device since. */
const isWanted = ({ id }: Mapping, claim: Claim, { at, givenUp }: RevertTerms): boolean =>
  !isOver(claim, at) && !givenUp.has(`${id} ${claim.key}`);

const isOver = ({ expiresAt }: Claim, at: number): boolean => expiresAt !== null && expiresAt <= at;

const sameTerms = (left: Claim, right: Claim): boolean =>
  left.lifetime === right.lifetime && left.expiresAt === right.expiresAt && sameFilters(left.filters, right.filters);

const release = ({ id }: Mapping, claim: Claim): PortreeveEvent =>
  event("lease.released", { mappingId: id, claimKey: claim.key, reason: "operator" });

function restored({ specRevision: _spec, revision: _revision, ...mapping }: Mapping): PortreeveEvent {
  return event("mapping.restored", mapping);
}

/** As they were; what joined since comes last. */
function inOrderOf(before: Mapping, claims: readonly Claim[]): Claim[] {
  const place = ({ key }: Claim): number => {
    const index = before.claims.findIndex((claim) => claim.key === key);
    return index < 0 ? before.claims.length : index;
  };
  return claims.toSorted((a, b) => place(a) - place(b));
}
