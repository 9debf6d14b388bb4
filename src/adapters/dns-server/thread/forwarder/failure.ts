import { CLASS, isMetaType, OPCODE, RCODE, TYPE } from "../../../../protocols/dns/constants.ts";
import { EXTENDED_ERROR } from "../../../../protocols/dns/extended-error.ts";
import { opcodeOf } from "../../../../protocols/dns/skim.ts";
import type { ClientQuery, ExtendedError } from "./reply.ts";
import type { Resolution } from "./resolution.ts";
import type { RaceResult } from "./upstream-race.ts";

/** A reply without records. */
export interface Failure {
  readonly rcode: number;
  readonly error: ExtendedError | null;
  readonly resolution: Extract<Resolution, { readonly kind: "blocked" | "failed" | "limited" | "refused" }>;
}

const refused = (rcode: number, why: string): Failure => ({ rcode, error: null, resolution: { kind: "refused", why } });

/** What is never asked of an upstream, whatever the name; null if it is fine. */
export function refusalOf({ skim }: ClientQuery): Failure | null {
  if (opcodeOf(skim.flags) !== OPCODE.QUERY) return refused(RCODE.NOTIMP, "only queries are forwarded");
  // RFC 6891 §6.1.3.
  if ((skim.edns?.version ?? 0) > 0) return refused(RCODE.BADVERS, "a version of EDNS that is not known");
  if (skim.class === CLASS.CH) return refused(RCODE.REFUSED, "the CHAOS class tells of servers, and is not forwarded");
  if (skim.class === CLASS.ANY || skim.class === CLASS.NONE) return refused(RCODE.REFUSED, "no class to ask for");
  if (isMetaType(skim.type) && skim.type !== TYPE.ANY)
    return refused(RCODE.REFUSED, "zone transfers and other meta types are not forwarded");
  return null;
}

/** A client that asks where nobody is forwarded for. */
export const NOT_SERVED: Failure = {
  rcode: RCODE.REFUSED,
  error: { code: EXTENDED_ERROR.PROHIBITED, text: "not served here" },
  resolution: { kind: "refused", why: "nobody is forwarded for here" },
};

export const WENT_IN_A_CIRCLE: Failure = {
  rcode: RCODE.REFUSED,
  error: null,
  resolution: { kind: "refused", why: "our own query came back: an upstream forwards to this resolver" },
};

export const TOO_MANY: Failure = {
  rcode: RCODE.SERVFAIL,
  error: { code: EXTENDED_ERROR.NOT_READY, text: "too many queries are under way" },
  resolution: { kind: "failed", reasons: ["too many queries are under way"], remembered: false },
};

export const TOO_MANY_OF_CLIENT: Failure = {
  rcode: RCODE.SERVFAIL,
  error: { code: EXTENDED_ERROR.OTHER, text: "too many queries of this client are under way" },
  resolution: { kind: "limited" },
};

/** What a client hears of a question that no upstream answered well. */
export function failureOf(result: Exclude<RaceResult, { readonly kind: "answer" }>): Failure {
  if (result.kind === "blocked") {
    const { upstream, address } = result;
    const text = `${address} is a private address; dns.rebinding.allow takes the domain`;
    return {
      rcode: RCODE.NXDOMAIN,
      error: { code: EXTENDED_ERROR.BLOCKED, text },
      resolution: { kind: "blocked", upstream, address },
    };
  }
  const reasons = result.reasons.length === 0 ? ["no upstream is known"] : result.reasons;
  const code = result.reasons.length === 0 ? EXTENDED_ERROR.NETWORK_ERROR : EXTENDED_ERROR.NO_REACHABLE_AUTHORITY;
  const resolution = { kind: "failed", reasons, remembered: false } as const;
  return { rcode: result.rcode, error: { code, text: reasons.join("; ") }, resolution };
}

/** The same once more, out of memory (RFC 9520). */
export function remembered(failure: Failure): Failure {
  if (failure.resolution.kind !== "failed") return failure;
  const text = failure.error?.text ?? "";
  const resolution = { ...failure.resolution, remembered: true };
  return { ...failure, error: { code: EXTENDED_ERROR.CACHED_ERROR, text }, resolution };
}
