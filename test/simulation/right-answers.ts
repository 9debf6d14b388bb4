import type { Outcome } from "../../src/reducers/decide/command.ts";
import { isReverting, missing } from "./given-back.ts";
import type { PromisedClaim, PromisedMapping, Promises } from "./promises.ts";
import { type Asked, askedBy, forbidden, isGivenUp, mappingTo, updatedOf } from "./right-rules.ts";
import type { Sent } from "./rules.ts";
import { peersOf } from "./share-rules.ts";

type Accepted = Extract<Outcome, { ok: true }>;
const OF_RIGHTS = new Set(["NOT_DELEGATED", "NOT_AUTHORIZED", "APPROVAL_PENDING", "BLOCKED"]);

/** Why a request of a guest's, or about guests, should not have succeeded so; null: it should. What it promises is noted. */
export function wrongSuccess(sent: Sent, { answer }: Accepted, promises: Promises): string | null {
  const asked = askedBy(sent, promises);
  if (asked !== null) {
    return answer.kind === "mapped" ? wrongMapped(asked, sent, answer, promises) : `${sent.type}: ${answer.kind}`;
  }
  if (sent.type === "upnpPinholeUpdate") return wrongUpdate(sent, promises);
  for (const mapping of promises.mappings.values()) {
    for (const claim of mapping.claims.values()) {
      if (isGivenUp(sent, mapping, claim, promises)) return `${mapping.id} ${claim.key} is there after ${sent.type}`;
    }
  }
  return isReverting(sent) ? missing(sent, promises) : null;
}

function wrongMapped(
  asked: Asked,
  sent: Sent,
  { mappingId, claimKey, externalAddress, externalPort, lifetime }: Extract<Accepted["answer"], { kind: "mapped" }>,
  promises: Promises,
): string | null {
  const why = forbidden(asked, promises);
  if (why !== null) return `a success although ${why}`;
  const mapping = promises.mappings.get(mappingId);
  if (mapping === undefined || mapping.internalAddress !== asked.target) return `answered with ${mappingId}`;
  if (!mapping.enabled) return `answered with ${mappingId}, which is disabled`;
  const isPinhole = asked.target.includes(":");
  const address = isPinhole ? asked.target : promises.addressesOf(mapping.wan)?.reported;
  if (externalAddress !== address || externalPort !== mapping.externalPort)
    return `answered ${externalAddress} ${externalPort}, and the mapping has ${address} ${mapping.externalPort}`;
  if (claimKey === null) {
    const isStatic = [...mapping.claims.values()].every(({ source }) => source === "manual");
    return isStatic ? null : `${mappingId} is no static mapping`;
  }
  const claim = mapping.claims.get(claimKey);
  if (claim === undefined) return `answered for claim ${claimKey}`;
  if (lifetime !== asked.seconds) return `asked for ${asked.seconds} s and was promised ${lifetime} s`;
  promise(claim, sent.now + lifetime * 1000);
  return null;
}

function wrongUpdate(sent: Extract<Sent, { type: "upnpPinholeUpdate" }>, promises: Promises): string | null {
  for (const mapping of promises.mappings.values()) {
    const asked = updatedOf(sent, mapping, promises);
    const claim = asked === null ? undefined : mapping.claims.get(asked.key);
    if (asked === null || claim === undefined) continue;
    const why = forbidden(asked, promises);
    if (why !== null) return `an update although ${why}`;
    promise(claim, sent.now + asked.seconds * 1000);
    return null;
  }
  return `pinhole ${sent.uniqueId} was updated, and is not there`;
}

function promise(claim: PromisedClaim, until: number): void {
  claim.promised = until;
  claim.latest = until;
}

/** Why a request of a guest's should not have been refused with this; null: it may. */
export function wrongRefusal(sent: Sent, code: string, promises: Promises): string | null {
  const asked = askedBy(sent, promises);
  if (asked === null || forbidden(asked, promises) !== null || asked.asker === "") return null;
  const mapping = mappingTo(asked, promises);
  if (mapping?.enabled === false || (sent.type === "map" && sent.thirdParty === sent.device)) return null;
  const claim = mapping?.claims.get(asked.key);
  if (claim !== undefined) return `${asked.target} was refused the renewal of ${mapping?.id} with ${code}`;
  const isStatic = [...(mapping?.claims.values() ?? [])].every(({ source }) => source === "manual");
  // Who reaches what an operator keeps is not for a device to say.
  if (mapping !== undefined && isStatic && peersOf(asked.filters.filter((each) => each !== "clear")).length > 0)
    return null;
  return OF_RIGHTS.has(code) ? `${asked.target} may have ${asked.port}, and was refused it with ${code}` : null;
}

/** What nobody has a right to any more. */
export function overdue({ rights, mappings }: Promises): string[] {
  if (rights === null) return [];
  const each = (mapping: PromisedMapping): string[] =>
    [...mapping.claims.values()].flatMap((claim) => {
      const why = rights.overdue(mapping, claim);
      return why === null ? [] : [`${mapping.id} ${claim.key} is there, and ${why}`];
    });
  return [...mappings.values()].flatMap(each);
}

/** A renewal makes no record; one of the same commit shows in what an operator ended. */
export function isUndecidedOfGuest(
  expiresAt: number,
  mapping: PromisedMapping | undefined,
  undecided: readonly Sent[],
  promises: Promises,
): boolean {
  if (promises.rights === null || mapping === undefined) return false;
  return undecided.some((sent) => {
    const asked = sent.type === "upnpPinholeUpdate" ? updatedOf(sent, mapping, promises) : askedBy(sent, promises);
    const isIts = asked?.target === mapping.internalAddress && asked.port === mapping.internalPort;
    return isIts && expiresAt === sent.now + asked.seconds * 1000;
  });
}
