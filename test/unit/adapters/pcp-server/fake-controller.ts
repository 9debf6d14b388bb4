import type { ControllerMode, ControllerPort, SubmissionInput } from "../../../../src/controller/port.ts";
import type { PortreeveRecord } from "../../../../src/events/index.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { initialState, type State } from "../../../../src/reducers/state.ts";

/** A controller that says what the test tells it to, when the test tells it to. */
export class FakeController implements ControllerPort {
  state: State = initialState();
  mode: ControllerMode = "running";
  /** What was asked, in order. */
  readonly submitted: SubmissionInput[] = [];
  /** Deadline of every claim, by "mappingId claimKey". */
  readonly ends = new Map<string, number>();
  readonly deadlines = {
    deadlineOf: (mappingId: string, claimKey: string): number | null =>
      this.ends.get(`${mappingId} ${claimKey}`) ?? null,
    recordDeadline: () => null,
    due: () => [],
    moved: () => [],
  };
  settle: Promise<void> = Promise.resolve();
  readonly #listeners = new Set<(state: State, records: readonly PortreeveRecord[]) => void>();
  readonly #waiting: ((outcome: Outcome) => void)[] = [];

  /** The outcome of the oldest request that still waits. */
  decideNext(outcome: Outcome): void {
    const resolve = this.#waiting.shift();
    if (resolve === undefined) throw new Error("nothing waits");
    resolve(outcome);
  }

  /** As after a commit. */
  publish(change: Partial<State>, records: readonly PortreeveRecord[] = []): void {
    this.state = { ...this.state, ...change, seq: this.state.seq + 1 };
    for (const listener of this.#listeners) listener(this.state, records);
  }

  submitSettled(command: SubmissionInput): Promise<Outcome> {
    this.submitted.push(command);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  submit(): Promise<Outcome> {
    throw new Error("a success may leave only when settled: the server has no business with submit");
  }

  preview(): never {
    throw new Error("not for servers");
  }

  subscribe(listener: (state: State, records: readonly PortreeveRecord[]) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  settled(): Promise<void> {
    return this.settle;
  }
}

export const mapped = (changed: boolean, port = 8080): Outcome => ({
  ok: true,
  seq: 1,
  changed,
  answer: {
    kind: "mapped",
    mappingId: "m000000000001",
    claimKey: "pcp:0102030405060708090a0b0c",
    externalAddress: "11.22.33.1",
    externalPort: port,
    lifetime: 3600,
  },
});
