import type { PortreeveRecord } from "../events/index.ts";
import type { MappingChanged } from "../events/mapping.ts";
import { tableDelete, tableGet, tableSet, tableSweep } from "../lib/table.ts";
import { assert } from "../lib/assert.ts";
import { dropMapping, holdMapping, spendToken } from "./usage.ts";
import { editRow } from "./fork.ts";
import { indexPorts, unindexPorts } from "./port-index.ts";
import { isOpen, reachDiffers } from "./reach.ts";
import { wanAddress } from "./external-address.ts";
import { externalKey, hostOf, type Mapping, type State } from "./state.ts";

/** Severed rows only bridge a crash between the event and the cut; older ones are done. */
const SEVERED_KEEP_MS = 10 * 60_000;

export function requireMapping(draft: State, id: string): Mapping {
  const mapping = tableGet(draft.mappings, id);
  assert(mapping !== undefined, `no mapping ${id}`);
  return mapping;
}

export function editMapping(draft: State, id: string, recipe: (mapping: Mapping) => void): void {
  assert(editRow(draft.mappings, id, recipe), `no mapping ${id}`);
}

/** Whether a device itself caused this record, so that it pays for it. */
export const causedByDevice = (source: string): boolean =>
  source.startsWith("pcp:") || source.startsWith("natpmp:") || source.startsWith("upnp:") || source.startsWith("dns:");

export function chargeDevice(draft: State, record: PortreeveRecord, mapping: Mapping): void {
  if (!causedByDevice(record.source) || mapping.interface === null) return;
  spendToken(draft, mapping.interface, hostOf(mapping), record.at);
}

export function onMappingGranted(draft: State, record: PortreeveRecord<"mapping.granted">): void {
  const { data } = record.event;
  assert(tableGet(draft.mappings, data.id) === undefined, `mapping ${data.id} exists`);
  // Written out: a replay makes millions of these, and spread objects cost several times as much.
  const mapping: Mapping = {
    id: data.id,
    wan: data.wan,
    protocol: data.protocol,
    externalPort: data.externalPort,
    internalAddress: data.internalAddress,
    internalPort: data.internalPort,
    host: data.host,
    count: data.count,
    interface: data.interface,
    label: data.label,
    enabled: data.enabled,
    sourceAddress: data.sourceAddress,
    from: [...data.from],
    name: data.name,
    claims: [{ ...data.claim }],
    createdAt: record.at,
    createdSeq: record.seq,
    specRevision: record.seq,
    revision: record.seq,
  };
  tableSet(draft.mappings, data.id, mapping);
  indexPorts(draft, mapping);
  takePorts(draft, mapping);
  holdMapping(draft, mapping, record.at);
  chargeDevice(draft, record, mapping);
}

export function onMappingChanged(draft: State, record: PortreeveRecord<"mapping.changed">): void {
  const { id, ...fields } = record.event.data;
  const mapping = requireMapping(draft, id);
  const moves = movesPackets(mapping, fields);
  if (moves) sever(draft, mapping, record);
  dropMapping(draft, mapping);
  unindexPorts(draft, mapping);
  editMapping(draft, id, (edited) => {
    Object.assign(edited, fields);
    edited.revision = record.seq;
    if (moves) edited.specRevision = record.seq;
  });
  const changed = requireMapping(draft, id);
  indexPorts(draft, changed);
  takePorts(draft, changed);
  holdMapping(draft, changed, record.at);
}

/** Whole, in the place of what is left of it: its age and the order of its claims are as they were. */
export function onMappingRestored(draft: State, record: PortreeveRecord<"mapping.restored">): void {
  const { data } = record.event;
  const present = tableGet(draft.mappings, data.id);
  const moves = present === undefined || movesPackets(present, data) || reachDiffers(present.claims, data.claims);
  if (present !== undefined) {
    if (moves) sever(draft, present, record);
    dropMapping(draft, present);
    unindexPorts(draft, present);
  }
  const claims = data.claims.map((claim) => ({ ...claim }));
  const specRevision = moves ? record.seq : present.specRevision;
  const mapping: Mapping = { ...data, from: [...data.from], claims, specRevision, revision: record.seq };
  tableSet(draft.mappings, data.id, mapping);
  indexPorts(draft, mapping);
  takePorts(draft, mapping);
  holdMapping(draft, mapping, record.at);
}

/**
 * Whoever holds a port now was let have it: its own former host, or an operator. What comes in by it from now on is not
 * what an operator ended, and flows from before go with the change of the forward itself.
 */
function takePorts(draft: State, mapping: Mapping): void {
  const { wan, protocol, externalPort, count, name } = mapping;
  const forwards = isOpen(mapping) && name === null;
  const addresses = forwards && draft.severed.size > 0 ? addressesOf(draft, wan) : [];
  if (draft.quarantine.size === 0 && addresses.length === 0) return;
  for (let port = externalPort; port < externalPort + count; port += 1) {
    tableDelete(draft.quarantine, externalKey(wan, protocol, port, name));
    for (const address of addresses) tableDelete(draft.severed, severedKey(address, protocol, port));
  }
}

/** Whether an edit changes where packets go; a new label does not. */
function movesPackets(mapping: Mapping, fields: Omit<MappingChanged, "id">): boolean {
  const place = [
    "wan",
    "externalPort",
    "internalAddress",
    "internalPort",
    "count",
    "enabled",
    "sourceAddress",
  ] as const;
  const reached = fields.from !== undefined && String(fields.from) !== String(mapping.from);
  return reached || place.some((field) => fields[field] !== undefined && fields[field] !== mapping[field]);
}

/**
 * Ends live flows of a mapping's external side, as an operator's decision does. Those of one name are the proxy's to end:
 * the kernel does not tell them from the others of the port.
 */
export function sever(draft: State, mapping: Mapping, record: PortreeveRecord): void {
  const { wan, protocol, externalPort, count, name } = mapping;
  if (name !== null) return;
  for (const address of addressesOf(draft, wan)) {
    for (let port = externalPort; port < externalPort + count; port += 1) {
      severFlows(draft, { address, protocol, port, count: 1 }, record);
    }
  }
}

/** Behind 1:1 NAT hosts inside come in by the reported address (hairpin). While a WAN has none, the last it had. */
function addressesOf(draft: State, wan: string): string[] {
  const address = wanAddress(draft, wan) ?? draft.wanAddresses[wan];
  return address === undefined ? [] : [...new Set([address.matched, address.reported])];
}

const severedKey = (address: string, protocol: Mapping["protocol"], port: number): string =>
  `${address}|${protocol}|${port}`;

export function severFlows(
  draft: State,
  flows: { address: string; protocol: Mapping["protocol"]; port: number; count: number },
  record: PortreeveRecord,
): void {
  const key = severedKey(flows.address, flows.protocol, flows.port);
  tableSweep(draft.severed, key, (other) => record.at - other.at > SEVERED_KEEP_MS);
  tableSet(draft.severed, key, { ...flows, at: record.at, revision: record.seq });
}
