import { setMaxListeners } from "node:events";
import type { Clock } from "../../../../lib/clock.ts";
import { RCODE } from "../../../../protocols/dns/constants.ts";
import type { AddressCheck } from "./address-check.ts";
import { type Answer, digest, type Received } from "./digest.ts";
import type { UpstreamClient } from "./upstream-client.ts";
import { causeText, WITHDRAWN } from "./upstream-fault.ts";
import type { UpstreamQuestion } from "./upstream-query.ts";

/** A client asks again, or somebody else, after 5 s: a busy gateway has a second left to say so. */
const DEADLINE_MS = 4000;
/** Of one question, to all upstreams together (RFC 9520 §3.1 wants few). */
const TRIES_MAX = 6;
const TRIES_OF_ONE_MAX = 3;

export type RaceResult =
  | { readonly kind: "answer"; readonly answer: Answer; readonly upstream: string; readonly ms: number }
  /** All that anybody said leads into this network. */
  | { readonly kind: "blocked"; readonly address: string; readonly upstream: string }
  | { readonly kind: "failed"; readonly rcode: number; readonly reasons: readonly string[] };

export interface RaceRules {
  readonly clock: Clock;
  /** Null: answers of these upstreams may lead into this network. */
  readonly addresses: AddressCheck | null;
}

/**
 * Asks upstreams one after the other, the next one as soon as one failed or was slow; who was asked may still answer. The
 * first good answer counts. Lies that can be told from the truth (a private address for a public name) are no good ones.
 */
export function race(
  question: UpstreamQuestion,
  upstreams: readonly UpstreamClient[],
  rules: RaceRules,
): Promise<RaceResult> {
  return new Promise((resolve) => new Race(question, upstreams, rules, resolve).start());
}

interface Runner {
  readonly upstream: UpstreamClient;
  readonly startedAt: number;
  /** Longer than it usually takes: it lost, if another one answers. */
  isLate: boolean;
}

class Race {
  readonly #question: UpstreamQuestion;
  readonly #rules: RaceRules;
  readonly #resolve: (result: RaceResult) => void;
  readonly #order: UpstreamClient[];
  readonly #running = new Set<Runner>();
  readonly #abort = new AbortController();
  readonly #reasons = new Map<string, string>();
  #alarm: { cancel(): void } | null = null;
  #deadline: { cancel(): void } | null = null;
  #blocked: Extract<RaceResult, { kind: "blocked" }> | null = null;
  #rcode: number = RCODE.SERVFAIL;
  readonly #tries = new Map<UpstreamClient, number>();
  /** They answered, and it was no good. */
  readonly #heard = new Set<UpstreamClient>();

  constructor(
    question: UpstreamQuestion,
    upstreams: readonly UpstreamClient[],
    rules: RaceRules,
    resolve: (result: RaceResult) => void,
  ) {
    this.#question = question;
    this.#rules = rules;
    this.#resolve = resolve;
    // In the order they were given; who is down comes last, and is asked all the same when nobody else is left.
    this.#order = [
      ...upstreams.filter(({ health }) => !health.isDown),
      ...upstreams.filter(({ health }) => health.isDown),
    ];
  }

  start(): void {
    // Each try listens; there are few.
    setMaxListeners(0, this.#abort.signal);
    const { clock } = this.#rules;
    this.#deadline = clock.setAlarm(clock.now() + DEADLINE_MS, () => this.#fail());
    this.#next();
  }

  #next(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    const upstream = this.#pick();
    if (upstream === undefined) {
      if (this.#running.size === 0) this.#fail();
      return;
    }
    const round = this.#triesOf(upstream);
    this.#tries.set(upstream, round + 1);
    const { clock } = this.#rules;
    const runner: Runner = { upstream, startedAt: clock.now(), isLate: false };
    this.#running.add(runner);
    const patience = Math.min(upstream.health.patienceMs * 2 ** round, DEADLINE_MS);
    this.#alarm = clock.setAlarm(clock.now() + patience, () => {
      runner.isLate = true;
      this.#next();
    });
    void this.#run(runner);
  }

  /** Who was asked least, in their order. */
  #pick(): UpstreamClient | undefined {
    const total = [...this.#tries.values()].reduce((sum, tries) => sum + tries, 0);
    if (total >= TRIES_MAX) return undefined;
    const open = this.#order.filter((each) => !this.#heard.has(each) && this.#triesOf(each) < TRIES_OF_ONE_MAX);
    const least = Math.min(...open.map((each) => this.#triesOf(each)));
    return open.find((each) => this.#triesOf(each) === least);
  }

  #triesOf(upstream: UpstreamClient): number {
    return this.#tries.get(upstream) ?? 0;
  }

  async #run(runner: Runner): Promise<void> {
    const { upstream } = runner;
    try {
      const received = await upstream.ask(this.#question, this.#abort.signal);
      const ms = this.#rules.clock.now() - runner.startedAt;
      upstream.health.answered(ms);
      this.#heard.add(upstream);
      this.#running.delete(runner);
      this.#judge(received, upstream.text, ms);
    } catch (cause) {
      this.#running.delete(runner);
      if (this.#isOver) return;
      const why = causeText(cause);
      upstream.health.failed(why);
      this.#drop(upstream.text, why);
    }
  }

  /** Who gave an answer that is no good has no better one to the same question. */
  #judge(received: Received, upstream: string, ms: number): void {
    const made = digest(received, this.#question);
    if (made.kind === "refused") {
      if (made.rcode !== RCODE.SERVFAIL) this.#rcode = made.rcode;
      return this.#drop(upstream, made.why);
    }
    const address = this.#rules.addresses?.find(made.answer.body, made.records) ?? null;
    if (address === null) return this.#finish({ kind: "answer", answer: made.answer, upstream, ms });
    this.#blocked = { kind: "blocked", address, upstream };
    this.#drop(upstream, `it answered the private address ${address}`);
  }

  #drop(upstream: string, why: string): void {
    this.#reasons.set(upstream, why);
    if (this.#isOver) return;
    const next = this.#pick();
    // Somebody who was not asked yet is asked at once; the others again when their time has come.
    if (next === undefined ? this.#running.size === 0 : this.#triesOf(next) === 0) this.#next();
  }

  get #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  #fail(): void {
    for (const { upstream } of this.#running) {
      if (!this.#reasons.has(upstream.text)) this.#reasons.set(upstream.text, "no answer");
    }
    const reasons = [...this.#reasons].map(([text, why]) => `${text}: ${why}`);
    this.#finish(this.#blocked ?? { kind: "failed", rcode: this.#rcode, reasons });
  }

  #finish(result: RaceResult): void {
    if (this.#isOver) return;
    this.#alarm?.cancel();
    this.#deadline?.cancel();
    for (const { upstream, isLate } of this.#running) {
      if (isLate || result.kind !== "answer") upstream.health.failed("no answer");
    }
    this.#abort.abort(WITHDRAWN);
    this.#resolve(result);
  }
}
