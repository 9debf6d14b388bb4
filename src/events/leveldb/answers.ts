import { type Seq, seqHex } from "../envelope.ts";
import type { RememberedAnswer } from "../log.ts";
import { checkedValue, readChecked } from "./checked-value.ts";
import { ANSWER_KEY_MAX, answerKey } from "./keys.ts";
import type { Storage, StorageOp } from "./storage.ts";

/** A client that repeats a request after ten thousand others is answered as if it asked anew. */
export const ANSWERS_MAX = 10_000;

const PAGE = 1000;

/**
 * Which request ids have an answer in the store, oldest first. The answers themselves stay there. Values are the seq
 * of the head they left, as 14 hex digits, then the answer as JSON, so that loading the order parses no answer.
 */
export class AnswerIndex {
  readonly #seqs: Map<string, Seq>;
  readonly #max: number;

  private constructor(seqs: Map<string, Seq>, max: number) {
    this.#seqs = seqs;
    this.#max = max;
  }

  static async load(storage: Storage, max = ANSWERS_MAX): Promise<AnswerIndex> {
    const found: [requestId: string, seq: Seq][] = [];
    let from = "r!";
    for (;;) {
      const page = await storage.range(from, ANSWER_KEY_MAX, { limit: PAGE });
      for (const [key, value] of page) {
        found.push([key.slice(2), Number.parseInt(readChecked(key, value).slice(0, 14), 16)]);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      from = `${last[0]}\0`;
    }
    found.sort(([, a], [, b]) => a - b);
    return new AnswerIndex(new Map(found), max);
  }

  has(requestId: string): boolean {
    return this.#seqs.has(requestId);
  }

  async read(storage: Storage, requestId: string): Promise<unknown> {
    if (!this.#seqs.has(requestId)) return undefined;
    const key = answerKey(requestId);
    const value = await storage.get(key);
    return value === undefined ? undefined : (JSON.parse(readChecked(key, value).slice(14)) as unknown);
  }

  /** What to write to remember `answers` beside a batch that leaves the head at `seq`, and to forget the oldest. */
  opsFor(answers: readonly RememberedAnswer[], seq: Seq): StorageOp[] {
    if (answers.length === 0) return [];
    const puts = answers.map(({ requestId, answer }): StorageOp => {
      const key = answerKey(requestId);
      return { type: "put", key, value: checkedValue(key, seqHex(seq) + JSON.stringify(answer)) };
    });
    return [...this.#surplusBeside(answers).map((id): StorageOp => ({ type: "del", key: answerKey(id) })), ...puts];
  }

  /** The ops of `opsFor` are in the store. */
  remember(answers: readonly RememberedAnswer[], seq: Seq): void {
    if (answers.length === 0) return;
    for (const requestId of this.#surplusBeside(answers)) this.#seqs.delete(requestId);
    for (const { requestId } of answers) {
      this.#seqs.delete(requestId);
      this.#seqs.set(requestId, seq);
    }
  }

  /** What to write to forget whatever was remembered for records after `seq`, and the named ones. */
  opsToDropAfter(seq: Seq, requestIds: Iterable<string>): StorageOp[] {
    const dropped = new Set(requestIds);
    for (const [requestId, left] of this.#seqs) if (left > seq) dropped.add(requestId);
    return [...dropped].map((requestId) => ({ type: "del", key: answerKey(requestId) }));
  }

  #surplusBeside(answers: readonly RememberedAnswer[]): string[] {
    if (this.#seqs.size + answers.length <= this.#max) return [];
    const fresh = new Set(answers.map(({ requestId }) => requestId));
    const added = [...fresh].filter((requestId) => !this.#seqs.has(requestId)).length;
    let surplus = this.#seqs.size + added - this.#max;
    const oldest: string[] = [];
    for (const requestId of this.#seqs.keys()) {
      if (surplus <= 0) break;
      if (fresh.has(requestId)) continue;
      oldest.push(requestId);
      surplus -= 1;
    }
    return oldest;
  }
}
