import { RequestProblem } from "./problem.ts";

/** So many of one kind at once. Whoever finds no place is told so at once: nobody waits where a crowd could. */
export class Places {
  readonly #max: number;
  readonly #what: string;
  #taken = 0;

  /** `what`: "event streams are open". */
  constructor(max: number, what: string) {
    this.#max = max;
    this.#what = what;
  }

  /** Takes a place; what it returns gives it back, once, however often it is called. */
  take(): () => void {
    if (this.#taken >= this.#max) {
      const message = `${this.#taken} ${this.#what}, as many as may be; end one, or ask again later`;
      throw new RequestProblem({ code: "UNAVAILABLE", message, retryAfter: 1 });
    }
    this.#taken += 1;
    let mine = true;
    return () => {
      if (mine) this.#taken -= 1;
      mine = false;
    };
  }

  async during<Result>(work: () => Promise<Result> | Result): Promise<Result> {
    const leave = this.take();
    try {
      return await work();
    } finally {
      leave();
    }
  }
}
