import { UDP_OCTETS_MAX } from "../../../../protocols/dns/constants.ts";

/** Of some hundred octets each; beyond, all are forgotten, as after any change. */
const REMEMBERED_MAX = 20_000;
/** A longer question is asked rarely, or by somebody who wants to fill this. */
const QUESTION_OCTETS_MAX = 200;

/** What a question led to before: its answer, or the forwarder. */
export type Remembered = Uint8Array | "forward";

/**
 * Queries of one client after another differ in their ID only: what is equal from there on has the same answer until
 * something changes, and needs neither decoding nor encoding.
 */
export class AnswerMemory {
  readonly #answers = new Map<string, Remembered>();
  #version = -1;

  /** What tells a question from all others of a listener; null: it is not worth remembering. */
  keyOf(bytes: Uint8Array, listener: string): string | null {
    if (bytes.length > QUESTION_OCTETS_MAX) return null;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", 2) + listener;
  }

  get(key: string, version: number): Remembered | undefined {
    if (version !== this.#version) {
      this.#answers.clear();
      this.#version = version;
    }
    return this.#answers.get(key);
  }

  set(key: string, version: number, remembered: Remembered): void {
    // The spellings of one question are as many as anybody likes, and by TCP an answer may be 64 KiB.
    if (version !== this.#version || remembered.length > UDP_OCTETS_MAX) return;
    if (this.#answers.size >= REMEMBERED_MAX) this.#answers.clear();
    this.#answers.set(key, remembered);
  }
}

/** An answer with the ID of this asking of its question. */
export function withIdOf(answer: Uint8Array, query: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(answer.length);
  bytes.set(answer);
  bytes[0] = query[0] as number;
  bytes[1] = query[1] as number;
  return bytes;
}
