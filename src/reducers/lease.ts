import type { PortreeveRecord } from "../events/index.ts";
import type { Claim } from "../events/mapping.ts";
import { assert } from "../lib/assert.ts";
import { tableDelete, tableSet, tableSweep } from "../lib/table.ts";
import { dropMapping, holderOf, holdMapping } from "./usage.ts";
import { unindexPorts } from "./port-index.ts";
import { chargeDevice, editMapping, requireMapping, sever } from "./mapping.ts";
import { reachDiffers } from "./reach.ts";
import { externalKey, type Mapping, type State } from "./state.ts";

export function onLeaseGranted(draft: State, record: PortreeveRecord<"lease.granted">): void {
  const { mappingId, claim } = record.event.data;
  const mapping = requireMapping(draft, mappingId);
  assert(!mapping.claims.some((other) => other.key === claim.key), `claim ${claim.key} exists on ${mappingId}`);
  setClaims(draft, mapping, [...mapping.claims, { ...claim }], record);
  holdMapping(draft, requireMapping(draft, mappingId), record.at);
  chargeDevice(draft, record, mapping);
}

export function onLeaseChanged(draft: State, record: PortreeveRecord<"lease.changed">): void {
  const { mappingId, claimKey, ...fields } = record.event.data;
  const mapping = requireMapping(draft, mappingId);
  setClaims(draft, mapping, withChanged(mapping, claimKey, fields), record);
  chargeDevice(draft, record, requireMapping(draft, mappingId));
}

export function onLeasesRenewed(draft: State, record: PortreeveRecord<"leases.renewed">): void {
  for (const { mappingId, claimKey, expiresAt } of record.event.data.deadlines) {
    editMapping(draft, mappingId, (mapping) => {
      mapping.claims = withChanged(mapping, claimKey, { expiresAt });
    });
  }
}

type ClaimChange = { readonly [Field in keyof Claim]?: Claim[Field] | undefined };

function withChanged(mapping: Mapping, claimKey: string, fields: ClaimChange): Claim[] {
  const index = mapping.claims.findIndex((claim) => claim.key === claimKey);
  assert(index >= 0, `no claim ${claimKey} on ${mapping.id}`);
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return mapping.claims.map((claim, place) => (place === index ? { ...claim, ...given } : claim));
}

/** Claims say who is let in too: what packets meet may change with them. */
function setClaims(draft: State, { id, claims: before }: Mapping, claims: Claim[], record: PortreeveRecord): void {
  editMapping(draft, id, (edited) => {
    edited.claims = claims;
    edited.revision = record.seq;
    if (reachDiffers(before, claims)) edited.specRevision = record.seq;
  });
}

export function onLeaseReleased(draft: State, record: PortreeveRecord<"lease.released">): void {
  const { mappingId, claimKey, reason } = record.event.data;
  const mapping = requireMapping(draft, mappingId);
  chargeDevice(draft, record, mapping);
  const last = removeClaim(draft, mapping, claimKey, record);
  if (!last) return;
  if (reason === "operator") sever(draft, mapping, record);
  // A withdrawn promise was never made to anyone: its port is free at once.
  else if (reason !== "withdrawn") quarantine(draft, mapping, record.at);
}

export function onLeaseExpired(draft: State, record: PortreeveRecord<"lease.expired">): void {
  const mapping = requireMapping(draft, record.event.data.mappingId);
  if (removeClaim(draft, mapping, record.event.data.claimKey, record)) quarantine(draft, mapping, record.at);
}

/** Takes one claim away; the mapping goes with its last. Returns whether it went. */
function removeClaim(draft: State, mapping: Mapping, claimKey: string, record: PortreeveRecord): boolean {
  const rest = mapping.claims.filter((claim) => claim.key !== claimKey);
  assert(rest.length < mapping.claims.length, `no claim ${claimKey} on ${mapping.id}`);
  if (rest.length === 0) {
    dropMapping(draft, mapping);
    unindexPorts(draft, mapping);
    tableDelete(draft.mappings, mapping.id);
    return true;
  }
  if (holderOf({ ...mapping, claims: rest }) === null) dropMapping(draft, mapping);
  setClaims(draft, mapping, rest, record);
  return false;
}

/** Keeps the freed ports from other hosts for a while (RFC 6887 §15); what has ended beside them is swept. */
function quarantine(draft: State, mapping: Mapping, at: number): void {
  const until = at + draft.settings.portControl.quarantine * 1000;
  if (until === at) return;
  for (let offset = 0; offset < mapping.count; offset += 1) {
    const key = externalKey(mapping.wan, mapping.protocol, mapping.externalPort + offset, mapping.name);
    tableSweep(draft.quarantine, key, (other) => other.until <= at);
    tableSet(draft.quarantine, key, { device: mapping.internalAddress, until });
  }
}
