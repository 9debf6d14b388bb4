/** Hands over together what one turn of the event loop brings: a message to another thread costs as much for one as for many. */
export class Gathering<Item> {
  readonly #handOver: (items: readonly Item[]) => void;
  #items: Item[] = [];

  constructor(handOver: (items: readonly Item[]) => void) {
    this.#handOver = handOver;
  }

  add(item: Item): void {
    if (this.#items.push(item) > 1) return;
    setImmediate(() => {
      const items = this.take();
      if (items.length > 0) this.#handOver(items);
    });
  }

  /** What was to be handed over, and is not any more. */
  take(): readonly Item[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }
}
