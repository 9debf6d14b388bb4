import { uniqueIdOf } from "../events/claim-key.ts";
import type { Claim } from "../events/mapping.ts";
import { tableGet } from "../lib/table.ts";
import { isPinhole, type Mapping, type State, usageKey } from "./state.ts";

/** What of a host's own has this number. */
export function pinholeOf(
  state: State,
  { interface: served, caller }: { readonly interface: string; readonly caller: string },
  uniqueId: number,
): { readonly mapping: Mapping; readonly claim: Claim } | null {
  for (const { mapping, claim } of upnpPinholesOf(state, served, caller)) {
    if (uniqueIdOf(claim) === uniqueId) return { mapping, claim };
  }
  return null;
}

/** What a host asked for by UPnP, claim by claim. */
export function upnpPinholesOf(state: State, served: string, host: string): { mapping: Mapping; claim: Claim }[] {
  const ids = tableGet(state.usages, usageKey(served, host))?.mappingIds ?? [];
  const mappings = ids.flatMap((id) => tableGet(state.mappings, id) ?? []).filter(isPinhole);
  return mappings.flatMap((mapping) =>
    mapping.claims.filter((claim) => uniqueIdOf(claim) !== null).map((claim) => ({ mapping, claim })),
  );
}
