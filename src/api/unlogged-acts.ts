import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { ControllerPort } from "../controller/port.ts";
import { sequenceOf } from "./mutation.ts";
import { RequestProblem } from "./problem.ts";
import type { mutationHeaders } from "./schemas/fields.ts";

/** Each is a pass or the head of a snapshot. */
const ANSWERS_MAX = 1000;

export interface ActRequest extends Pick<FastifyRequest, "method" | "url"> {
  readonly headers: z.infer<typeof mutationHeaders>;
}

/**
 * Idempotency-Key and If-Match of mutations that log nothing: passes and snapshots. Their answers live as long as this
 * process: a key that comes again after a restart does again what harms nobody. One for the whole API.
 */
export class UnloggedActs {
  readonly #controller: Pick<ControllerPort, "state">;
  /** Oldest first. */
  readonly #answers = new Map<string, { readonly asked: string; readonly answer: Promise<unknown> }>();

  constructor(controller: Pick<ControllerPort, "state">) {
    this.#controller = controller;
  }

  async run<T>({ method, url, headers }: ActRequest, reply: FastifyReply, act: () => Promise<T>): Promise<T> {
    const key = headers["idempotency-key"];
    const asked = `${method} ${url.split("?", 1)[0]}`;
    const known = key === undefined ? undefined : this.#answers.get(key);
    if (known !== undefined) {
      if (known.asked !== asked) {
        const message = `this Idempotency-Key was used for ${known.asked}; use a new key for a new request`;
        throw new RequestProblem({ code: "INVALID_REQUEST", message }, 422);
      }
      const answer = (await known.answer) as T;
      reply.header("idempotency-replayed", "true");
      return answer;
    }
    this.#checkSeq(sequenceOf(headers["if-match"]));
    const answer = act();
    if (key !== undefined) this.#remember(key, asked, answer);
    return await answer;
  }

  #checkSeq(ifSeq: number | null): void {
    const { seq } = this.#controller.state;
    if (ifSeq === null || ifSeq === seq) return;
    const message = `the log is at ${seq}, not at ${ifSeq} any more; look again and decide anew`;
    throw new RequestProblem({ code: "LOG_REVISION_CONFLICT", message });
  }

  /** What fails is forgotten: the same key may try again. */
  #remember(key: string, asked: string, answer: Promise<unknown>): void {
    this.#answers.set(key, { asked, answer });
    answer.catch(() => this.#answers.delete(key));
    if (this.#answers.size <= ANSWERS_MAX) return;
    for (const oldest of this.#answers.keys()) {
      this.#answers.delete(oldest);
      break;
    }
  }
}
