import type { EventData } from "../../src/events/index.ts";
import { blockKey, type PromisedMapping, type Promises } from "./promises.ts";
import type { Ended, Rights } from "./rights.ts";
import type { Sent } from "./rules.ts";
import { peersOf } from "./share-rules.ts";

type Reverting = Extract<Sent, { type: "change.revert" | "confirmation.lapse" }>;

export const isReverting = (sent: Sent): sent is Reverting =>
  sent.type === "change.revert" || sent.type === "confirmation.lapse";

/** Why a mapping should not come back as this says; null: it was so, until the change that is taken back. */
export function wrongRestoring(restored: EventData<"mapping.restored">, sent: Sent, before: Promises): string | null {
  if (!isReverting(sent)) return `restored by ${sent.type}`;
  const rights = before.rights as Rights;
  const reverted = new Set(sent.change.records.map(({ seq }) => seq));
  const there = before.mappings.get(restored.id);
  for (const claim of restored.claims) {
    const { key, expiresAt } = claim;
    const found = peersOf(claim.filters).join();
    const kept = there?.claims.get(key);
    const all = rights.ended.get(`${restored.id} ${key}`) ?? [];
    const ended = kept === undefined ? all.find(({ seq }) => reverted.has(seq)) : undefined;
    const was = kept ?? ended?.claim;
    if (was === undefined) return `gives back ${key}, which that change did not end`;
    if (kept === undefined && isGivenUp(sent, all.at(-1))) return `gives back ${key}, which was given up since`;
    if (found !== peersOf(was.filters).join()) return `gives back ${key} for "${found}"`;
    if (ended === undefined) continue;
    if (expiresAt !== null && expiresAt <= sent.now) return `gives back ${key}, which is over`;
    const { promised, latest } = was;
    const [first, last, end] = [promised, latest, expiresAt].map((at) => at ?? Number.POSITIVE_INFINITY);
    if ((end as number) < (first as number) || (end as number) > (last as number))
      return `gives back ${key} until ${expiresAt}, and it had until ${promised}`;
    if (!isSamePlace(restored, ended.mapping)) return `gives back ${key} at another place than it was`;
    if (claim.device !== null && isBlockedSince(restored, Math.min(...reverted), rights))
      return `gives back ${key}, which was blocked since`;
  }
  return null;
}

/** As far as it was known when the change was read. */
const isGivenUp = ({ change }: Reverting, last: Ended | undefined): boolean =>
  last?.reason === "client" && change.later.some(({ seq }) => seq === last.seq);

const isSamePlace = (one: EventData<"mapping.restored">, other: PromisedMapping): boolean =>
  one.internalAddress === other.internalAddress &&
  one.internalPort === other.internalPort &&
  one.externalPort === other.externalPort &&
  one.protocol === other.protocol &&
  one.host === other.host;

function isBlockedSince(
  { internalAddress: device, protocol, internalPort }: EventData<"mapping.restored">,
  seq: number,
  { blockedSince }: Rights,
): boolean {
  return (blockedSince.get(blockKey({ device, protocol, internalPort })) ?? 0) > seq;
}

/** What an operator's change ended has to be there again once it is taken back, unless it would be over by now. */
export function missing(sent: Reverting, { rights, mappings }: Promises): string | null {
  if (sent.type === "confirmation.lapse" || !sent.change.records[0]?.source.startsWith("api:")) return null;
  for (const { event, seq } of sent.change.records) {
    if (event.type !== "lease.released") continue;
    const { mappingId, claimKey } = event.data;
    const ended = rights?.ended.get(`${mappingId} ${claimKey}`)?.at(-1);
    if (ended?.seq !== seq || (ended.claim.latest !== null && ended.claim.latest <= sent.now + 1000)) continue;
    if (!mappings.has(mappingId) && isEndedSince(mappingId, sent, rights)) continue;
    if (!mappings.get(mappingId)?.claims.has(claimKey))
      return `${mappingId} ${claimKey} did not come back with its change`;
  }
  return null;
}

/** What was left of it then ended by a later change, which has to be taken back itself. */
const isEndedSince = (id: string, { change }: Reverting, rights: Rights | null): boolean =>
  [...(rights?.ended ?? [])].some(
    ([key, all]) => key.startsWith(`${id} `) && all.some(({ seq }) => seq > (change.records.at(-1)?.seq ?? 0)),
  );
