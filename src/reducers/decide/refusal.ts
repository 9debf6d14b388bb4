import type { PortreeveEvent } from "../../events/index.ts";
import type { ErrorCode } from "../../lib/errors.ts";
import type { Answer, Decision, Refusal } from "./command.ts";
import type { Renewal } from "../deadlines.ts";

export function refuse(code: ErrorCode, message: string, extra: Omit<Refusal, "code" | "message"> = {}): Decision {
  return { ok: false, refusal: { code, message, ...extra } };
}

export function accept(
  events: readonly PortreeveEvent[],
  answer: Answer,
  renewals: readonly Renewal[] = [],
): Extract<Decision, { ok: true }> {
  return { ok: true, events, renewals, answer };
}
