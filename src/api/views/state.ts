import { hashedText } from "../../reducers/state-json.ts";
import type { State } from "../../reducers/state.ts";
import { isoTime } from "../../lib/iso-time.ts";

/** The document of a state, in pieces, a turn of the event loop for each: it may be 100 MB. */
export async function* stateDocument(state: State): AsyncGenerator<string> {
  const { seq, at } = state;
  yield `${JSON.stringify({ seq, at: isoTime(at) }).slice(0, -1)},"state":`;
  const hash = yield* inTurns(hashedText(state));
  const content = inTurns(hashedText(state, false));
  let contentHash = await content.next();
  while (contentHash.done !== true) contentHash = await content.next();
  yield `,${JSON.stringify({ hash, contentHash: contentHash.value }).slice(1)}`;
}

async function* inTurns(text: Generator<string, string>): AsyncGenerator<string, string> {
  for (;;) {
    const { done, value } = text.next();
    if (done === true) return value;
    yield value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
