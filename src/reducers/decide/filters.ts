import { FILTERS_MAX, type PeerFilter } from "../../events/mapping.ts";
import { filterText } from "../reach.ts";
import type { Mapping, State } from "../state.ts";
import type { MapRequest, Refusal } from "./command.ts";
import { nameBeside } from "../sharing.ts";

/** Why a mapping cannot have any filter: who comes to a port that names share is in before anybody can choose. */
export function unfilterable(state: State, mapping: Mapping, filters: readonly PeerFilter[]): Refusal | null {
  const named = filters.length === 0 ? undefined : nameBeside(state, mapping);
  if (named === undefined) return null;
  const message = `tcp ${mapping.externalPort} is shared by TLS name with ${named.name} (${named.id}), and what is shared is reached by everyone`;
  return { code: "TOO_MANY_FILTERS", message, conflicts: [named.id] };
}

/** What a claim's filters are after those of a request, each taken in its turn (RFC 6887 §13.3). */
export function filtersAfter(before: readonly PeerFilter[], asked: MapRequest["filters"]): PeerFilter[] | Refusal {
  const filters = new Map(before.map((filter) => [filterText(filter), filter]));
  for (const each of asked) {
    if (each === "clear") filters.clear();
    else filters.set(filterText(each), each);
  }
  if (filters.size <= FILTERS_MAX) return [...filters.values()];
  const message = `${filters.size} filters are more than the ${FILTERS_MAX} that a mapping may have`;
  return { code: "TOO_MANY_FILTERS", message };
}
