import type { Clock } from "../../lib/clock.ts";

/** RFC 6887 §14.2: three sends, 250 ms and then 500 ms apart. */
const GAPS_MS = [0, 250, 500] as const;
/** 500 a second: ten thousand mappings are told in a minute and no LAN is flooded. */
const SENDS_PER_TICK = 10;
const TICK_MS = 20;

interface Due {
  readonly key: string;
  readonly at: number;
}

/** Tells clients of mappings that changed under them, paced, each until it refreshes or has been told three times. */
export class MappingUpdates {
  readonly #clock: Clock;
  /** Returns false if there is nothing left to tell. */
  readonly #send: (key: string) => boolean;
  /** One queue for each of the three sends: within a queue the order of joining is the order of being due. */
  #rounds: Due[][] = GAPS_MS.map(() => []);
  #waiting = new Set<string>();
  #notBefore = 0;
  #alarm: { cancel(): void } | null = null;

  constructor(clock: Clock, send: (key: string) => boolean) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Starts over with these and those still waiting: an earlier change is told with the later one. */
  start(keys: readonly string[]): void {
    const waiting = new Set([...this.#waiting, ...keys]);
    this.stop();
    const at = this.#clock.now();
    this.#waiting = waiting;
    this.#rounds = GAPS_MS.map((_, round) => (round === 0 ? Array.from(waiting, (key) => ({ key, at })) : []));
    this.#arm();
  }

  /** The client has asked again, so it knows. */
  refreshed(key: string): void {
    this.#waiting.delete(key);
  }

  stop(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    this.#waiting.clear();
  }

  #arm(): void {
    const next = Math.min(...this.#rounds.map((round) => round[0]?.at ?? Number.POSITIVE_INFINITY));
    if (next === Number.POSITIVE_INFINITY) return;
    this.#alarm = this.#clock.setAlarm(Math.max(next, this.#notBefore), () => this.#tick());
  }

  #tick(): void {
    const now = this.#clock.now();
    this.#notBefore = now + TICK_MS;
    let budget = SENDS_PER_TICK;
    for (const [round, queue] of this.#rounds.entries()) {
      let taken = 0;
      for (const due of queue) {
        if (budget === 0 || due.at > now) break;
        taken += 1;
        if (!this.#waiting.has(due.key)) continue;
        budget -= 1;
        const gap = GAPS_MS[round + 1];
        const more = this.#send(due.key) && gap !== undefined;
        if (more) this.#rounds[round + 1]?.push({ key: due.key, at: now + gap });
        else this.#waiting.delete(due.key);
      }
      queue.splice(0, taken);
    }
    this.#arm();
  }
}
