import { event, type EventData, type PortreeveEvent } from "../../events/index.ts";
import type { Claim } from "../../events/mapping.ts";
import type { Mapping, State } from "../state.ts";
import type { CommandEnvelope, Refusal } from "./command.ts";
import type { Deadlines, Renewal } from "../deadlines.ts";
import { tooOften } from "./device-limits.ts";

/** RFC 6887 §11.3: what a static mapping's lifetime SHOULD be said to be. */
export const STATIC_LIFETIME = 0xffffffff;

interface Asking {
  readonly command: CommandEnvelope & {
    readonly interface: string;
    readonly device: string;
    readonly host?: string | null;
  };
  readonly state: State;
  readonly deadlines: Deadlines;
}

/** What a client may say anew of its claim, besides its end. */
export type ClaimChanges = Pick<EventData<"lease.changed">, "filters" | "description" | "enabled">;

interface Renewed {
  readonly events: readonly PortreeveEvent[];
  readonly renewals: readonly Renewal[];
  readonly lifetime: number;
}

/**
 * Moves the deadline in memory. Only a lifetime longer than the logged one is an event: after a crash each lease gets
 * its logged lifetime again, which must not be less than what was promised.
 */
export function renewed(
  { command, state }: Pick<Asking, "command" | "state">,
  { mappingId, claim }: { mappingId: string; claim: Claim },
  wanted: number,
  changes: ClaimChanges = {},
): Renewed | Refusal {
  const logged = claim.lifetime ?? STATIC_LIFETIME;
  const changed = Object.keys(changes).length > 0;
  const refusal = changed || wanted > logged ? tooOften(state, command) : null;
  if (changed && refusal !== null) return refusal;
  // A renewal never fails on a quota: without a token it gets no longer a life than it had.
  const lifetime = refusal === null ? wanted : logged;
  const expiresAt = command.now + lifetime * 1000;
  const lease = { mappingId, claimKey: claim.key };
  if (lifetime <= logged && !changed) return { events: [], renewals: [{ ...lease, expiresAt }], lifetime };
  return { events: [event("lease.changed", { ...lease, lifetime, expiresAt, ...changes })], renewals: [], lifetime };
}

/** A claim that this very commit makes has no live deadline yet; its own says the same. Null: no end. */
export const endOf = (deadlines: Deadlines, mapping: Mapping, claim: Claim): number | null =>
  deadlines.deadlineOf(mapping.id, claim.key) ?? claim.expiresAt;

/** Seconds until the last claim of that kind on a mapping ends. */
export function remaining(
  { command, deadlines }: { readonly command: CommandEnvelope; readonly deadlines: Deadlines },
  mapping: Mapping,
  source: Claim["source"],
): number {
  const ends = mapping.claims
    .filter((claim) => claim.source === source)
    .map((claim) => endOf(deadlines, mapping, claim) ?? command.now);
  return Math.max(1, Math.ceil((Math.max(...ends) - command.now) / 1000));
}

/** Of what is not the client's own: what has an end is promised no longer than until then. */
export function untilItEnds({ command, deadlines }: Omit<Asking, "state">, mapping: Mapping, wanted: number): number {
  const ends = mapping.claims.map((claim) => endOf(deadlines, mapping, claim) ?? Number.POSITIVE_INFINITY);
  return Math.min(wanted, Math.max(1, Math.floor((Math.max(...ends) - command.now) / 1000)));
}
