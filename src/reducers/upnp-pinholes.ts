import { uniqueIdOf } from "../events/claim-key.ts";
import type { Claim } from "../events/mapping.ts";
import { siteOf } from "./served.ts";
import { isPinhole, type Mapping, type State } from "./state.ts";
import { heldBy } from "./usage.ts";

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
  const mappings = heldBy(state, siteOf(state, served), host).filter(isPinhole);
  return mappings.flatMap((mapping) =>
    mapping.claims.filter((claim) => uniqueIdOf(claim) !== null).map((claim) => ({ mapping, claim })),
  );
}
