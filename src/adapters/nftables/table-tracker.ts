import { ElementColumns, type SetLayout } from "./element-columns.ts";
import type { ApplyReply, TableChange } from "./messages.ts";
import type { Nftables } from "./nftables.ts";

/** Others may commit again and again while we list; then the listing is reported, but not kept. */
const OBSERVE_TRIES = 3;

export interface TrackedObservation<Row> {
  /** The row whose writing gave the table its shape; null if it has another. */
  readonly skeleton: Row | null;
  readonly elements: ElementColumns;
}

/** One table of ours: which shape each skeleton row got in the kernel, and whether anyone else has been there since. */
export class TableTracker<Row> {
  readonly #nft: Nftables;
  readonly #table: string;
  readonly #sets: readonly SetLayout[];
  readonly #rowOfShape = new Map<string, Row>();
  /** The count of others' changes that the last observation includes; null: it does not hold. */
  #observedChanges: number | null = null;

  constructor(nft: Nftables, table: string, sets: readonly SetLayout[]) {
    this.#nft = nft;
    this.#table = table;
    this.#sets = sets;
  }

  async observe(): Promise<TrackedObservation<Row> | null> {
    this.#observedChanges = null;
    for (let attempt = 1; ; attempt += 1) {
      await this.#nft.identify();
      const changes = this.#changes();
      const observation = await this.#nft.observe(this.#table, this.#sets);
      const steady = this.#changes() === changes;
      if (!steady && attempt < OBSERVE_TRIES) continue;
      if (steady) this.#observedChanges = changes;
      if (observation === null) return null;
      const { shape, strays, instanceId } = observation;
      const intact = strays === 0 && instanceId === this.#nft.instanceId;
      const skeleton = intact ? (this.#rowOfShape.get(shape) ?? null) : null;
      return { skeleton, elements: new ElementColumns(observation.elements) };
    }
  }

  /** `row`: what the change's skeleton was made from. */
  async apply(change: TableChange, row: Row | null): Promise<ApplyReply> {
    const instanceId = this.unchanged() ? null : this.#nft.instanceId;
    const shared = { table: this.#table, sets: this.#sets, instanceId };
    try {
      const reply = await this.#nft.apply({ ...shared, ...change });
      // Its elements went with it, and no change of the plan says so.
      if (change.skeleton === "remove") this.#observedChanges = null;
      if (reply.shape !== null && row !== null) this.#rowOfShape.set(reply.shape, row);
      return reply;
    } catch (error) {
      // It may have been committed all the same.
      this.#observedChanges = null;
      throw error;
    }
  }

  /** What `apply` would answer, with nothing done. */
  rehearse(change: TableChange): Promise<ApplyReply> {
    const instanceId = this.unchanged() ? null : this.#nft.instanceId;
    return this.#nft.rehearse({ table: this.#table, sets: this.#sets, instanceId, ...change });
  }

  unchanged(): boolean {
    return this.#nft.tracksCommits && this.#observedChanges !== null && this.#observedChanges === this.#changes();
  }

  #changes(): number {
    return this.#nft.watch.changes(this.#table);
  }
}
