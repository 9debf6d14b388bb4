import { event, type PortreeveEvent } from "../../events/index.ts";
import { subnetChanged } from "../../events/subnet.ts";
import { type Ipv4Prefix, parseIpv4Prefix } from "../../lib/ip.ts";
import { tableGet } from "../../lib/table.ts";
import { ownRow } from "../../lib/own-row.ts";
import { devicesOf, overlapOf } from "../decide/subnet.ts";
import { blocksReaddressed } from "../decide/device-blocks.ts";
import { mappingsOf } from "../device-mappings.ts";
import { ipv6Rival } from "../decide/subnet-ipv6.ts";
import { wanOf } from "../device-wan.ts";
import { ipv6PrefixOf } from "../ipv6-place.ts";
import { heldByOperator } from "../operator-holds.ts";
import { isPinhole, type Mapping, type State, type Subnet } from "../state.ts";
import { subnetNamed } from "../subnet.ts";
import {
  CHANGED_SINCE,
  fieldsBack,
  type Hindrance,
  objectKind,
  refOf,
  type RevertTerms,
  rowBack,
  saysManaged,
  unchanged,
} from "./kind.ts";

const KIND = "subnet";

type Field = "name" | "wan" | "ipv6Prefix" | "dns" | "zone";
const FIELDS = Object.keys(subnetChanged.shape).filter((field) => field !== "id") as Field[];

export const subnets = objectKind<Subnet>({
  name: KIND,
  keysOf: ({ type, data }) =>
    type === "subnet.added" || type === "subnet.changed" || type === "subnet.removed" ? [data.id] : [],
  read: (state, key) => ownRow(state.subnets, key),
  describe: ({ name, prefix, wan, ipv6Prefix, dns, zone, managedBy }) => ({
    name,
    says: {
      prefix,
      "leaves by": wan ?? "the preferred WAN",
      IPv6: ipv6Prefix ?? "none",
      DNS: dns.mode === "custom" ? dns.servers.join(" ") : dns.mode === "device" ? dns.device : "the gateway",
      zone: zone ?? "made of its name",
      ...saysManaged({ managedBy }),
    },
  }),
  // What all of them are reached by: it comes with the subnets of another gateway.
  erases: ({ type }, { wireguard }) =>
    type === "wireguard.keyed" && wireguard !== null ? "the gateway's key before it is erased with it" : null,
  takeAway(made, now, { now: state, own }) {
    if (!unchanged(made, now, FIELDS)) return changedSince(now);
    const there = devicesOf(state, now.id).filter(({ id }) => !own.has(refOf("device", id)));
    if (there.length === 0) return [event("subnet.removed", { id: now.id })];
    return {
      why: `${there.map(({ name }) => name).join(", ")} are on it`,
      by: there.map(({ id }) => refOf("device", id)),
    };
  },
  edit(versions, terms) {
    const fields = fieldsBack(versions, FIELDS);
    if (fields === null) return changedSince(versions.now);
    if (Object.keys(fields).length === 0) return [];
    const left = leftBehind(versions.now, fields, terms);
    const hindrance = rivalOf({ ...versions.now, ...fields }, terms) ?? openedSince(left, terms);
    const devices = devicesOf(terms.now, versions.now.id);
    const isSince = (key: string): boolean => !terms.own.has(refOf("block", key));
    const blocks = blocksReaddressed(terms.now, devices, { ...versions.now, ...fields }, isSince);
    const changed = event("subnet.changed", { id: versions.now.id, ...fields });
    return hindrance ?? [...closedByLapse(left, terms), ...blocks, changed];
  },
  giveBack({ createdSeq: _created, revision: _revision, ...subnet }, terms) {
    const overlap = overlapOf(terms.now, parseIpv4Prefix(subnet.prefix) as Ipv4Prefix, []);
    if (overlap !== null) return { why: `${subnet.prefix} overlaps ${overlap}`, by: [] };
    return rivalOf(subnet, terms) ?? [event("subnet.added", subnet)];
  },
});

/** What a subnet is once a change is taken back; undefined: it is gone. */
export function revertedSubnet(id: string, { before, after, now, own }: RevertTerms): Subnet | undefined {
  const rowOf = ({ subnets: rows }: State): Subnet | undefined => ownRow(rows, id);
  if (!own.has(refOf(KIND, id))) return rowOf(now);
  return rowBack({ before: rowOf(before), after: rowOf(after), now: rowOf(now) }, FIELDS);
}

const changedSince = ({ id }: Subnet): Hindrance => ({ why: CHANGED_SINCE, by: [refOf(KIND, id)] });

function rivalOf(subnet: Pick<Subnet, "id" | "name" | "ipv6Prefix">, { now }: RevertTerms): Hindrance | null {
  const { id, name, ipv6Prefix } = subnet;
  const prefix = ipv6PrefixOf(subnet);
  const rival = prefix === null ? null : ipv6Rival(now, prefix, id);
  if (rival !== null) {
    return { why: `${ipv6Prefix} overlaps what the subnet ${rival.name} has now`, by: [refOf(KIND, rival.id)] };
  }
  const other = subnetNamed(now, name);
  return other === undefined || other.id === id
    ? null
    : { why: `another subnet is called ${name} now`, by: [refOf(KIND, other.id)] };
}

/** Ports that were opened on the WAN that it would leave: nothing of the change moves them back. */
function leftBehind(subnet: Subnet, fields: Partial<Subnet>, terms: RevertTerms): Mapping[] {
  const [moves, readdresses] = [fields.wan !== undefined, fields.ipv6Prefix !== undefined];
  if (!moves && !readdresses) return [];
  const wanted = { ...subnet, ...fields };
  return devicesOf(terms.now, subnet.id).flatMap((device) => {
    const wan = wanOf(terms.now, device, wanted);
    return mappingsOf(terms.now, device).filter((mapping) =>
      isPinhole(mapping) ? readdresses : moves && mapping.wan !== wan,
    );
  });
}

/** Ports that the change itself has nothing to do with, and that were not where they are before it. */
const movedSince = (mappings: readonly Mapping[], { own, before }: RevertTerms): Mapping[] =>
  mappings.filter((mapping) => {
    const was = tableGet(before.mappings, mapping.id);
    const stayed = was !== undefined && was.internalAddress === mapping.internalAddress && was.wan === mapping.wan;
    return !stayed && !own.has(refOf("port", mapping.id));
  });

/** Of those, what is in the way: at the end of a trial only what an operator said yes to. */
export function openedSince(mappings: readonly Mapping[], terms: RevertTerms): Hindrance | null {
  const opened = movedSince(mappings, terms).filter((mapping) => !terms.lapse || heldByOperator(mapping));
  if (opened.length === 0) return null;
  const names = opened.map(({ externalPort, protocol }) => `${externalPort}/${protocol}`).join(", ");
  return { why: `${names} lead to it by now`, by: opened.map(({ id }) => refOf("port", id)) };
}

/** What devices opened themselves, at the end of a trial: nothing they do keeps what nobody confirmed. */
export function closedByLapse(mappings: readonly Mapping[], terms: RevertTerms): PortreeveEvent[] {
  return terms.lapse ? movedSince(mappings, terms).flatMap(released) : [];
}

/** Ends what devices asked for of a mapping; an operator's claims stay. */
export const released = ({ id, claims }: Mapping): PortreeveEvent[] =>
  claims.flatMap(({ key, device }) =>
    device === null ? [] : [event("lease.released", { mappingId: id, claimKey: key, reason: "operator" })],
  );
