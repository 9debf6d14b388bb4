import type { SniRow } from "../../lib/sni-row.ts";
import type { Change, Plan } from "../../reconcilers/contract.ts";
import type { SniObservation } from "../../reconcilers/sni-routes.ts";
import { asHaproxySees, FILES } from "./config.ts";
import { entriesOf, type ListedEntry, type MapEntry } from "./maps.ts";

type SniPlan = Plan<SniRow, SniObservation>;

/** A command of the admin socket, and the row it is for. */
export interface RowCommand {
  readonly key: string;
  readonly command: string;
}

const placeOf = ({ map, key }: MapEntry): string => `${map} ${key}`;

/** What leads from the entries that are there to what the plan wants; nothing for rows that are `refused`. */
export function differences(
  listed: readonly ListedEntry[],
  plan: SniPlan,
  refused: { has(key: string): boolean },
): RowCommand[] {
  const places = new Map<string, ListedEntry[]>();
  for (const entry of listed) {
    const there = places.get(placeOf(entry));
    if (there === undefined) places.set(placeOf(entry), [entry]);
    else there.push(entry);
  }
  return plan
    .filter(({ key }) => !refused.has(key))
    .flatMap((change) => commandsOf(change, listed, places).map((command) => ({ key: change.key, command })));
}

function commandsOf(
  change: Change<SniRow, SniObservation>,
  listed: readonly ListedEntry[],
  places: ReadonlyMap<string, readonly ListedEntry[]>,
): string[] {
  if (change.op !== "delete") {
    const { spec } = change.desired;
    const wanted = entriesOf(spec);
    const written = wanted.flatMap((entry) => writing(places.get(placeOf(entry))?.[0], entry));
    return spec.kind === "proxy" ? [...segmentsAstray(listed, wanted).map(deletion), ...written] : written;
  }
  const { observed } = change;
  if (observed.kind === "stray") {
    return listed
      .filter(({ map, reference }) => map === observed.map && reference === observed.reference)
      .map(deletion);
  }
  return entriesOf(observed)
    .flatMap((entry) => places.get(placeOf(entry)) ?? [])
    .map(deletion);
}

/** One command changes the value: no client meets the map without the route. */
function writing(listed: ListedEntry | undefined, { map, key, value }: MapEntry): string[] {
  if (listed === undefined) return [`add map ${asHaproxySees(map)} ${key} ${value}`];
  return listed.value === value ? [] : [`set map ${asHaproxySees(map)} #${listed.reference} ${value}`];
}

const deletion = ({ map, reference }: ListedEntry): string => `del map ${asHaproxySees(map)} #${reference}`;

function segmentsAstray(listed: readonly ListedEntry[], wanted: readonly MapEntry[]): ListedEntry[] {
  const left = new Set(wanted.map(({ key }) => key));
  return listed.filter(({ map, key }) => map === FILES.segments && !left.delete(key));
}

/** All entries there are after the plan, for a HAProxy that is about to start. */
export function entriesAfter(
  listed: readonly MapEntry[],
  plan: SniPlan,
  refused: { has(key: string): boolean },
): MapEntry[] {
  const entries = new Map(listed.map((entry) => [placeOf(entry), entry]));
  for (const change of plan) {
    if (refused.has(change.key)) continue;
    if (change.key === "proxy")
      for (const [place, { map }] of entries) if (map === FILES.segments) entries.delete(place);
    if (change.op !== "delete") for (const entry of entriesOf(change.desired.spec)) entries.set(placeOf(entry), entry);
    else if (change.observed.kind !== "stray") {
      for (const entry of entriesOf(change.observed)) entries.delete(placeOf(entry));
    }
  }
  return [...entries.values()];
}

/** Equal for equal maps. */
export const fingerprintOf = (listed: readonly MapEntry[]): string =>
  listed
    .map(({ map, key, value }) => `${map} ${key} ${value}`)
    .sort()
    .join("\n");
