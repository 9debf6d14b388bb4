/** Sources take turns: however much one of them asks, another waits for one request of each and not for all of them. */
export class FairQueue<Item> {
  readonly #perSource: number;
  readonly #total: number;
  /** In the order of their turns. */
  readonly #waiting = new Map<string, Item[]>();
  #size = 0;

  constructor(room: { readonly perSource: number; readonly total: number }) {
    this.#perSource = room.perSource;
    this.#total = room.total;
  }

  get size(): number {
    return this.#size;
  }

  /** False if there is no room for more, of this source or at all. */
  push(source: string, item: Item): boolean {
    const items = this.#waiting.get(source) ?? [];
    if (this.#size >= this.#total || items.length >= this.#perSource) return false;
    items.push(item);
    this.#waiting.set(source, items);
    this.#size += 1;
    return true;
  }

  /** The next in turn. A source with more to ask goes to the end. */
  shift(): Item | undefined {
    for (const [source, items] of this.#waiting) {
      const item = items.shift();
      this.#waiting.delete(source);
      if (items.length > 0) this.#waiting.set(source, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }
}
