import type { ControllerPort, SubmissionInput } from "./port.ts";
import type { Clock } from "../lib/clock.ts";
import type { ErrorCode } from "../lib/errors.ts";
import { tableGet } from "../lib/table.ts";
import type { Answer, Outcome } from "../reducers/decide/command.ts";

/** After this long a promise that is not effective is withdrawn. */
const SETTLE_MAX_MS = 5000;

/** What stands between a promise and the kernel, for one mapping. */
export interface Settler {
  /** Resolves when every reconciler that a promise hangs on has tried the state at `seq`. Rejects when the signal aborts. */
  settled(seq: number, signal: AbortSignal): Promise<void>;
  /** What the data plane makes of a mapping now. */
  effect(
    mappingId: string,
  ): { readonly kind: "effective" | "pending" } | { readonly kind: "refused"; readonly message: string };
}

/**
 * Acknowledged means durable and effective: a success leaves only after the kernel has it. What a target refuses, or
 * what takes too long, is withdrawn by a compensating event if this very request made it, and never otherwise.
 */
export class SettledSubmission {
  settler: Settler | null = null;
  readonly #controller: ControllerPort;
  readonly #clock: Clock;
  /** Claims whose maker still waits: whether a repetition of its request was told of success, or they are on their way out. */
  readonly #making = new Map<string, "waiting" | "told" | "withdrawing">();
  /** Commands of one commit wait together. */
  #waiting: { readonly seq: number; readonly settled: Promise<void> } | null = null;

  constructor(controller: ControllerPort, clock: Clock) {
    this.#controller = controller;
    this.#clock = clock;
  }

  async wait(seq: number, signal: AbortSignal): Promise<void> {
    await this.settler?.settled(seq, signal);
  }

  async submit(command: SubmissionInput): Promise<Outcome> {
    const decided = await this.#controller.submit(command);
    if (!decided.ok || this.settler === null) return decided;
    const made = (decided.made ?? []).map(keyOf);
    for (const key of made) this.#making.set(key, "waiting");
    const outcome = await this.#settle(command, decided, this.settler);
    for (const key of made) this.#making.delete(key);
    if (!outcome.ok || outcome.answer.kind !== "mapped") return outcome;
    const key = keyOf(outcome.answer);
    if (this.#making.get(key) === "withdrawing") {
      const message =
        "the promise is being withdrawn: it did not become effective for the request that made it; ask again";
      return { ok: false, refusal: { code: "NOT_SETTLED", message, retryAfter: 30 } };
    }
    if (this.#making.has(key)) this.#making.set(key, "told");
    return outcome;
  }

  async #settle(command: SubmissionInput, outcome: Accepted, settler: Settler): Promise<Outcome> {
    const { answer } = outcome;
    const ids = answer.kind === "mapped" ? [answer.mappingId] : answer.kind === "ids" ? answer.ids : [];
    // A renewal of what is effective already needs no waiting; everything else does.
    if (!outcome.changed && ids.every((id) => settler.effect(id).kind === "effective")) return outcome;
    try {
      await this.#settleCommit(settler);
    } catch {
      return this.#takeBack(command, outcome, "NOT_SETTLED", "the change did not become effective within 5 s");
    }
    if (answer.kind === "mapped" && !this.#stands(answer)) {
      const message = "the mapping ended before it became effective; ask again";
      return { ok: false, refusal: { code: "NOT_SETTLED", message, retryAfter: 30 } };
    }
    for (const id of ids) {
      const effect = settler.effect(id);
      if (effect.kind === "refused") return this.#takeBack(command, outcome, "APPLY_FAILED", effect.message);
    }
    return outcome;
  }

  /** An operator, or the client itself, may have ended it while this request waited. */
  #stands({ mappingId, claimKey }: Extract<Answer, { kind: "mapped" }>): boolean {
    const mapping = tableGet(this.#controller.state.mappings, mappingId);
    return mapping !== undefined && (claimKey === null || mapping.claims.some((claim) => claim.key === claimKey));
  }

  /** Called as a commit's outcomes are given out, when nothing has been committed after it. */
  #settleCommit(settler: Settler): Promise<void> {
    const { seq } = this.#controller.state;
    if (this.#waiting?.seq === seq) return this.#waiting.settled;
    const abort = new AbortController();
    const alarm = this.#clock.setAlarm(this.#clock.now() + SETTLE_MAX_MS, () => abort.abort());
    const settled = settler.settled(seq, abort.signal);
    const waiting = { seq, settled };
    this.#waiting = waiting;
    const forget = (): void => {
      alarm.cancel();
      if (this.#waiting === waiting) this.#waiting = null;
    };
    settled.then(forget, forget);
    return settled;
  }

  async #takeBack(command: SubmissionInput, outcome: Accepted, code: ErrorCode, why: string): Promise<Outcome> {
    const made = (outcome.made ?? []).filter((claim) => this.#making.get(keyOf(claim)) !== "told");
    for (const claim of made) this.#making.set(keyOf(claim), "withdrawing");
    if (made.length === 0) {
      return { ok: false, refusal: { code, message: `${why}; what was there before stays as it is`, retryAfter: 30 } };
    }
    for (const { mappingId, claimKey } of made) {
      const { requestId } = command;
      await this.#controller.submit({ type: "withdraw", mappingId, claimKey, source: "controller", requestId });
    }
    return { ok: false, refusal: { code, message: `${why}; the promise was withdrawn`, retryAfter: 30 } };
  }
}

type Accepted = Extract<Outcome, { ok: true }>;

const keyOf = ({ mappingId, claimKey }: { mappingId: string; claimKey: string | null }): string =>
  `${mappingId} ${claimKey}`;
