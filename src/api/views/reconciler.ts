import type { PassReport, Reconciler } from "../../reconcilers/contract.ts";
import { isoTime, isoTimeOrNull } from "../../lib/iso-time.ts";
import type { PassDocument, ReconcilerDocument } from "../schemas/status.ts";

export function passView(pass: PassReport): PassDocument {
  return { ...pass, at: isoTime(pass.at), reasons: [...pass.reasons] };
}

export function reconcilerView(
  reconciler: Pick<Reconciler, "name" | "health" | "passes">,
  pauses: Readonly<Record<string, number>>,
  now: number,
): ReconcilerDocument {
  const { level, message, lastSuccessAt, failingSince, errorsCurrent, heldBack } = reconciler.health;
  const until = pauses[reconciler.name];
  const last = reconciler.passes.at(-1);
  return {
    name: reconciler.name,
    level,
    message,
    lastSuccessAt: isoTimeOrNull(lastSuccessAt),
    failingSince: isoTimeOrNull(failingSince),
    errorsCurrent,
    heldBack,
    pausedUntil: until !== undefined && until > now ? isoTime(until) : null,
    lastPass: last === undefined ? null : passView(last),
  };
}
