import { type DeclaredPort, type Declaration, parsePorts, parseTarget } from "../../events/declaration.ts";
import { event } from "../../events/index.ts";
import { assert } from "../../lib/assert.ts";
import { parseIpv4 } from "../../lib/ip.ts";
import { tableRows } from "../../lib/table.ts";
import { deviceNamed } from "../device.ts";
import { canonicalWan } from "../external-address.ts";
import type { Mapping, State } from "../state.ts";
import type { Draft } from "./draft.ts";
import { decidePortAdd, decidePortEdit } from "./port.ts";

/** Whether the operator's claim on it is the declaration's. */
const isOf = (mapping: Mapping, { name }: Pick<Declaration, "name">): boolean =>
  mapping.claims.some((claim) => claim.managedBy === name);

/** What a declaration made and what it says, one beside the other: by label, or where that was edited by its place. */
export function matchPorts(
  declaration: Declaration,
  state: State,
): { pairs: { declared: DeclaredPort; mapping: Mapping | undefined }[]; rest: Mapping[] } {
  const made = new Set([...tableRows(state.mappings)].filter((mapping) => isOf(mapping, declaration)));
  const byLabel = new Map([...made].map((mapping) => [mapping.label, mapping]));
  const found = new Map<DeclaredPort, Mapping>();
  for (const declared of declaration.ports) {
    const mapping = byLabel.get(declared.name);
    if (mapping === undefined) continue;
    found.set(declared, mapping);
    made.delete(mapping);
  }
  const placeText = (externalPort: number, protocol: string, name: string | null): string =>
    `${externalPort}/${protocol}/${name ?? ""}`;
  const byPlace = new Map(
    [...made].map((mapping) => [placeText(mapping.externalPort, mapping.protocol, mapping.name), mapping]),
  );
  for (const declared of declaration.ports) {
    const { externalPort, protocol } = placeOf(declared);
    const mapping = found.has(declared) ? undefined : byPlace.get(placeText(externalPort, protocol, declared.hostname));
    if (mapping === undefined || !made.delete(mapping)) continue;
    found.set(declared, mapping);
  }
  const pairs = declaration.ports.map((declared) => ({ declared, mapping: found.get(declared) }));
  return { pairs, rest: [...made].sort((a, b) => a.createdSeq - b.createdSeq) };
}

function placeOf({ port }: DeclaredPort): NonNullable<ReturnType<typeof parsePorts>> {
  const place = parsePorts(port);
  assert(place !== null, "a declaration passed its schema");
  return place;
}

/** Ends what the declaration claims, and no claim of a device's own. */
export function releasePort(mapping: Mapping, declaration: Declaration, draft: Draft): void {
  const claims = mapping.claims.filter((claim) => claim.managedBy === declaration.name);
  draft.log(
    claims.map(({ key }) => event("lease.released", { mappingId: mapping.id, claimKey: key, reason: "operator" })),
  );
}

/** A forward that comes in elsewhere is made anew: so two can change places. */
export function releaseMoved(declaration: Declaration, draft: Draft): void {
  for (const { declared, mapping } of matchPorts(declaration, draft.state).pairs) {
    if (mapping === undefined) continue;
    const { protocol, externalPort, count } = placeOf(declared);
    const sameWan =
      declared.wan === null || canonicalWan(draft.state, declared.wan) === canonicalWan(draft.state, mapping.wan);
    const stays =
      sameWan &&
      mapping.name === declared.hostname &&
      mapping.protocol === protocol &&
      mapping.externalPort === externalPort &&
      mapping.count === count;
    if (!stays) releasePort(mapping, declaration, draft);
  }
}

export function putPorts(declaration: Declaration, draft: Draft): void {
  for (const { declared, mapping } of matchPorts(declaration, draft.state).pairs) {
    const where = `port ${declared.name}`;
    const { name, hostname, wan, enabled, from, source: sourceAddress } = declared;
    const target = parseTarget(declared.to);
    assert(target !== null, "a declaration passed its schema");
    if (draft.failed.has(`device ${target.host}`)) continue;
    const internalAddress = addressOf(target.host, draft.state);
    if (internalAddress === null) {
      draft.refuse(where, { code: "NOT_FOUND", message: `there is no device ${target.host} to forward to` });
      continue;
    }
    const place = placeOf(declared);
    const internalPort = target.port ?? place.externalPort;
    const to = { internalAddress, internalPort, label: name, enabled, from, sourceAddress };
    draft.do(where, (envelope, state) => {
      if (mapping !== undefined)
        return decidePortEdit({ ...envelope, type: "port.edit", id: mapping.id, ...to }, state);
      const add = {
        type: "port.add",
        ...place,
        ...to,
        name: hostname,
        lifetime: null,
        wan,
        managedBy: declaration.name,
      } as const;
      return decidePortAdd({ ...envelope, ...add }, state);
    });
  }
}

const addressOf = (host: string, state: State): string | null =>
  parseIpv4(host) === null ? (deviceNamed(state, host)?.address ?? null) : host;
