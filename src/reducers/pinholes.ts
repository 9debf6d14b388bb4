import { TableIndex } from "../lib/table-index.ts";
import { tableGet } from "../lib/table.ts";
import { hostOf, isPinhole, type Mapping, type State } from "./state.ts";

/** There are few pinholes among many forwards. */
const BY_HOST = new TableIndex<Mapping>((mapping) => (isPinhole(mapping) ? hostOf(mapping) : null));

const BY_ADDRESS = new TableIndex<Mapping>((mapping) => (isPinhole(mapping) ? mapping.internalAddress : null));

export function pinholesOf(state: Pick<State, "mappings">): Mapping[] {
  return BY_HOST.places(state.mappings).flatMap((host) => pinholesOfHost(state, host));
}

/** Those of one host, by the address that it is counted by. */
export function pinholesOfHost({ mappings }: Pick<State, "mappings">, host: string): Mapping[] {
  return BY_HOST.keysAt(mappings, host).flatMap((id) => tableGet(mappings, id) ?? []);
}

/** Those to one address, whichever host that was known to be when it asked for them. */
export function pinholesTo({ mappings }: Pick<State, "mappings">, address: string): Mapping[] {
  return BY_ADDRESS.keysAt(mappings, address).flatMap((id) => tableGet(mappings, id) ?? []);
}
