import type { Transport } from "../events/fields.ts";
import { wildcardFor } from "../lib/server-name.ts";
import { mappingAt, mappingNamed, mappingsSharing } from "./port-index.ts";
import { wantedPeers } from "./reach.ts";
import type { Mapping, State } from "./state.ts";

type Place = Pick<Mapping, "wan" | "protocol" | "externalPort" | "count" | "name" | "from">;

/**
 * Whether what holds an external port can have others beside it that are told apart by name: a single TCP port that
 * everybody reaches. Who may come in is decided before a name is known.
 */
export const sharesItsPort = (mapping: Place & { readonly claims?: Mapping["claims"] }): boolean =>
  mapping.protocol === "tcp" &&
  mapping.count === 1 &&
  mapping.from.length === 0 &&
  (wantedPeers(mapping.claims ?? []) ?? []).length === 0;

/** A name that shares a mapping's port, beside which nobody can be let in by the address they come from. */
export const nameBeside = (state: State, { wan, protocol, externalPort }: Place): Mapping | undefined =>
  mappingsSharing(state, wan, protocol, externalPort)[0];

/** Mappings that cannot be there beside one at this place, without `self`. */
export function inTheWay(state: State, place: Place, self: string | null): Mapping[] {
  const found = new Map<string, Mapping>();
  const { wan, protocol, externalPort, count, name } = place;
  for (let port = externalPort; port < externalPort + count; port += 1) {
    for (const mapping of [mappingNamed(state, { wan, protocol, name }, port), ...unsharing(state, place, port)]) {
      if (mapping !== undefined && mapping.id !== self) found.set(mapping.id, mapping);
    }
  }
  return [...found.values()];
}

function unsharing(state: State, place: Place, port: number): (Mapping | undefined)[] {
  const { wan, protocol, name } = place;
  if (name === null) return sharesItsPort(place) ? [] : mappingsSharing(state, wan, protocol, port);
  const whole = mappingAt(state, wan, protocol, port);
  return whole === undefined || sharesItsPort(whole) ? [] : [whole];
}

/**
 * The mapping for whose sake a device may not have a name on a port: another host's that has the name, all names of its
 * kind, or the whole port. Who has the whole of a port that was shared before it came took what was left of it.
 */
export function nameHolder(
  state: State,
  { wan, port, name }: { wan: string; port: number; name: string },
  device: string,
): Mapping | undefined {
  const tcp: Transport = "tcp";
  const wildcard = wildcardFor(name);
  const named = [name, ...(wildcard === null ? [] : [wildcard])]
    .flatMap((each) => mappingNamed(state, { wan, protocol: tcp, name: each }, port) ?? [])
    .find(({ internalAddress }) => internalAddress !== device);
  if (named !== undefined) return named;
  const whole = mappingAt(state, wan, tcp, port);
  if (whole === undefined || (whole.internalAddress === device && sharesItsPort(whole))) return undefined;
  const [oldest] = mappingsSharing(state, wan, tcp, port);
  const cameLater = oldest !== undefined && oldest.createdSeq < whole.createdSeq;
  return cameLater && sharesItsPort(whole) ? undefined : whole;
}
