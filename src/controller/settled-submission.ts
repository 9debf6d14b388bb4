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
  /** The last maker of each claim that is still waited for. */
  readonly #making = new Map<string, Making>();
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
    const made = (decided.made ?? []).map((claim): Making => ({ ...claim, fate: "waiting" }));
    for (const each of made) this.#making.set(keyOf(each), each);
    const outcome = await this.#settle({ command, outcome: decided, made }, this.settler);
    for (const each of made) if (this.#isMaker(each)) this.#making.delete(keyOf(each));
    if (!outcome.ok || outcome.answer.kind !== "mapped") return outcome;
    const makings = promisedBy(outcome.answer).flatMap((each) => this.#making.get(keyOf(each)) ?? []);
    if (makings.some(({ fate }) => fate === "withdrawing")) {
      const message =
        "the promise is being withdrawn: it did not become effective for the request that made it; ask again";
      return { ok: false, refusal: { code: "NOT_SETTLED", message, retryAfter: 30 } };
    }
    for (const making of makings) making.fate = "told";
    return outcome;
  }

  /** The claim may have been released meanwhile, and made anew by a later request: then it is that one's. */
  #isMaker(each: Making): boolean {
    return this.#making.get(keyOf(each)) === each;
  }

  async #settle(settling: Settling, settler: Settler): Promise<Outcome> {
    const { outcome } = settling;
    const { answer } = outcome;
    const promised = promisedBy(answer);
    const ids = answer.kind === "ids" ? answer.ids : promised.map(({ mappingId }) => mappingId);
    // A renewal of what is effective already needs no waiting; everything else does.
    if (!outcome.changed && ids.every((id) => settler.effect(id).kind === "effective")) return outcome;
    try {
      await this.#settleCommit(settler);
    } catch {
      return this.#takeBack(settling, "NOT_SETTLED", "the change did not become effective within 5 s");
    }
    if (!promised.every((each) => this.#stands(each))) {
      const message = "the mapping ended before it became effective; ask again";
      return { ok: false, refusal: { code: "NOT_SETTLED", message, retryAfter: 30 } };
    }
    for (const id of ids) {
      const effect = settler.effect(id);
      if (effect.kind === "refused") return this.#takeBack(settling, "APPLY_FAILED", effect.message);
    }
    return outcome;
  }

  /** An operator, or the client itself, may have ended it while this request waited. */
  #stands({ mappingId, claimKey }: Promised): boolean {
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

  async #takeBack({ command, made }: Settling, code: ErrorCode, why: string): Promise<Outcome> {
    const untold = made.filter((each) => this.#isMaker(each) && each.fate !== "told");
    for (const each of untold) each.fate = "withdrawing";
    if (untold.length === 0) {
      return { ok: false, refusal: { code, message: `${why}; what was there before stays as it is`, retryAfter: 30 } };
    }
    for (const { mappingId, claimKey } of untold) {
      const { requestId } = command;
      await this.#controller.submit({ type: "withdraw", mappingId, claimKey, source: "controller", requestId });
    }
    return { ok: false, refusal: { code, message: `${why}; the promise was withdrawn`, retryAfter: 30 } };
  }
}

type Accepted = Extract<Outcome, { ok: true }>;

/** A claim whose maker still waits: whether a repetition of its request was told of success, or it is on its way out. */
interface Making {
  readonly mappingId: string;
  readonly claimKey: string;
  fate: "waiting" | "told" | "withdrawing";
}

/** One submission on its way to being effective. */
interface Settling {
  readonly command: SubmissionInput;
  readonly outcome: Accepted;
  readonly made: readonly Making[];
}

/** A claim that a client is told of, or an operator's mapping. */
interface Promised {
  readonly mappingId: string;
  readonly claimKey: string | null;
}

const promisedBy = (answer: Answer): Promised[] => (answer.kind === "mapped" ? [answer, ...(answer.more ?? [])] : []);

const keyOf = ({ mappingId, claimKey }: Promised): string => `${mappingId} ${claimKey}`;
