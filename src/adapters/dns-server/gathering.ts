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
      const items = this.#items;
      this.#items = [];
      this.#handOver(items);
    });
  }
}
