/** Never settles: what a dead process waits for. A promise of its own each time, or one would hold all the dead. */
const forever = (): Promise<never> => new Promise(() => {});

/**
 * The life of one process. Between two points at which it touches the outside nothing can be told apart from outside,
 * so to die at any of these is to die at any await.
 */
export class Life {
  alive = true;
  /** Points to go until it is killed; null: it is not. */
  #killIn: number | null = null;
  readonly #onDeath: () => void;

  constructor(onDeath: () => void) {
    this.#onDeath = onDeath;
  }

  killAtPoint(points: number): void {
    this.#killIn = points;
  }

  spare(): void {
    this.#killIn = null;
  }

  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.#onDeath();
  }

  /** Passed before and after each touch of the outside. */
  async point(): Promise<void> {
    if (this.#killIn !== null) {
      this.#killIn -= 1;
      if (this.#killIn <= 0) this.kill();
    }
    if (!this.alive) await forever();
  }

  /** Time that a call to the outside takes. */
  async wait(ms: number, clock: { now(): number; setAlarm(at: number, callback: () => void): unknown }): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => void clock.setAlarm(clock.now() + ms, resolve));
    if (!this.alive) await forever();
  }
}
