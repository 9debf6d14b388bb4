/** Rows turned into JSON before others get a turn: 60,000 at once would keep every client waiting for a second. */
const CHUNK = 500;

/** A JSON array in pieces, one piece a turn of the event loop. */
export async function* jsonArray<Item>(items: readonly Item[], view: (item: Item) => unknown): AsyncGenerator<string> {
  yield "[";
  for (let start = 0; start < items.length; start += CHUNK) {
    const chunk = items.slice(start, start + CHUNK).map((item) => JSON.stringify(view(item)));
    yield `${start === 0 ? "" : ","}${chunk.join(",")}`;
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield "]";
}
