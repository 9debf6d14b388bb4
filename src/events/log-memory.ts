import { assert } from "../lib/assert.ts";
import type { Seq } from "./envelope.ts";
import type { PortreeveRecord } from "./index.ts";
import { EMPTY_HEAD, type EventLog, type LogBatch, type LogHead } from "./log.ts";
import { corrupt, logClosed, movedOn } from "./log-fault.ts";
import { decodeStored, encodeRecord, hashOf, parseStored } from "./record.ts";

export interface MemoryLogOptions {
  readonly instanceId?: string;
}

/** A log that lasts as long as the process: for tests and simulations. Keeps the stored form. */
export function memoryLog(options: MemoryLogOptions = {}): EventLog {
  return new MemoryLog(options.instanceId ?? "00000000000000aa");
}

class MemoryLog implements EventLog {
  readonly instanceId: string;
  readonly #texts: string[] = [];
  readonly #answers = new Map<string, string>();
  #head: LogHead = EMPTY_HEAD;
  #base: LogHead = EMPTY_HEAD;
  #closed = false;

  constructor(instanceId: string) {
    this.instanceId = instanceId;
  }

  get head(): LogHead {
    return this.#head;
  }

  get base(): LogHead {
    return this.#base;
  }

  async readableAfter(): Promise<Seq> {
    this.#assertOpen();
    return 0;
  }

  /** The texts stay where they are: as long as the process, they are their own archive. */
  async compact(to: Seq): Promise<void> {
    this.#assertOpen();
    assert(to <= this.#head.seq, "a log is compacted beyond its end");
    if (to > this.#base.seq) this.#base = { seq: to, hash: hashOf(this.#texts[to - 1] as string) };
  }

  async append({ expectedHead, records, answers }: LogBatch): Promise<readonly PortreeveRecord[]> {
    this.#assertOpen();
    if (expectedHead !== this.#head.seq) throw movedOn(expectedHead, this.#head.seq);
    let head = this.#head;
    const encoded = records.map((pending) => {
      const one = encodeRecord(pending, head.seq + 1, head.hash);
      head = { seq: one.record.seq, hash: one.record.hash };
      return one;
    });
    for (const { requestId, answer } of answers) this.#answers.set(requestId, JSON.stringify(answer));
    this.#texts.push(...encoded.map(({ text }) => text));
    this.#head = head;
    return encoded.map(({ record }) => record);
  }

  async *read(after: Seq, options: { readonly to?: Seq } = {}): AsyncGenerator<PortreeveRecord> {
    this.#assertOpen();
    const last = Math.min(options.to ?? this.#head.seq, this.#head.seq);
    let prevHash = after === 0 ? EMPTY_HEAD.hash : hashOf(this.#texts[after - 1] ?? "");
    for (let seq = after + 1; seq <= last; seq += 1) {
      const text = this.#texts[seq - 1] as string;
      const stored = parseStored(seq, text);
      if (stored.prevHash !== prevHash) throw corrupt(seq, `record ${seq} does not follow record ${seq - 1}`);
      prevHash = hashOf(text);
      yield decodeStored(stored, prevHash);
    }
  }

  async answerOf(requestId: string): Promise<unknown> {
    this.#assertOpen();
    const answer = this.#answers.get(requestId);
    return answer === undefined ? undefined : (JSON.parse(answer) as unknown);
  }

  /** Nobody else can have it. */
  checkLock(): void {}

  async close(): Promise<void> {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw logClosed();
  }
}
