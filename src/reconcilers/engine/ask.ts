import { stopped } from "./settle.ts";

/** Callers who wait for the same answer; each gets it from a turn that began after they asked. */
export class Asks<T> {
  #waiting: Asker<T>[] = [];
  #closed = false;

  ask(): Promise<T> {
    if (this.#closed) return Promise.reject(stopped());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Everyone who asked so far; whoever takes them answers them. */
  take(): readonly Asker<T>[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.take()) reject(stopped());
  }
}

interface Asker<T> {
  readonly resolve: (answer: T) => void;
  readonly reject: (reason: unknown) => void;
}
