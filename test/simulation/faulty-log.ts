import type { EventLog, LogBatch } from "../../src/events/log.ts";
import { corrupt, writeFailed } from "../../src/events/log-fault.ts";
import type { PortreeveRecord } from "../../src/events/index.ts";
import type { Snapshot, SnapshotHeader, SnapshotStore, SnapshotText } from "../../src/events/snapshot.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { Chance } from "./chance.ts";
import type { Faults } from "./faults.ts";
import type { Life } from "./life.ts";

export interface LogOwner {
  readonly life: Life;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly chance: Chance;
}

/** One process's handle on a log that outlives it. */
export function faultyLog(store: EventLog, { life, clock, faults, chance }: LogOwner): EventLog {
  const write = async (batch: LogBatch): Promise<readonly PortreeveRecord[]> => {
    await life.point();
    const fault = faults.takeAppend();
    switch (fault) {
      case "append fails":
        throw writeFailed("no space left on device");
      case "append fails for good":
        throw corrupt(store.head.seq, "the log on disk is not what was written");
      case "append is slow":
        await life.wait(chance.between(50, 6000), clock);
        break;
      case "killed before the append":
        life.kill();
        await life.point();
        break;
      default:
    }
    const written = await store.append(batch);
    if (fault === "killed between append and reply") life.kill();
    await life.point();
    return written;
  };
  return {
    instanceId: store.instanceId,
    get head() {
      return store.head;
    },
    get base() {
      return store.base;
    },
    append: write,
    readableAfter: () => store.readableAfter(),
    compact: (to) => store.compact(to),
    read: (after, options) => store.read(after, options),
    answerOf: (requestId) => store.answerOf(requestId),
    checkLock: () => store.checkLock(),
    close: () => Promise.resolve(),
  };
}

/** Snapshots beside it. */
export class MemorySnapshots implements SnapshotStore {
  readonly #headers = new Map<number, SnapshotHeader>();
  readonly #states = new Map<number, string>();

  async write(header: SnapshotHeader, state: Iterable<string>): Promise<void> {
    this.#states.set(header.seq, [...state].join(""));
    this.#headers.set(header.seq, header);
  }

  async list(): Promise<readonly SnapshotHeader[]> {
    return [...this.#headers.values()].sort((a, b) => b.seq - a.seq);
  }

  async read(seq: number): Promise<Snapshot | undefined> {
    const [header, state] = [this.#headers.get(seq), this.#states.get(seq)];
    return header === undefined || state === undefined ? undefined : { ...header, state: JSON.parse(state) as unknown };
  }

  async open(seq: number): Promise<SnapshotText | undefined> {
    const [header, state] = [this.#headers.get(seq), this.#states.get(seq)];
    if (header === undefined || state === undefined) return undefined;
    const lines = (async function* () {
      yield* state.split("\n");
    })();
    return { ...header, lines };
  }

  async remove(seq: number): Promise<void> {
    this.#headers.delete(seq);
    this.#states.delete(seq);
  }
}
