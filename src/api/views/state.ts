import { canonicalJson } from "../../lib/canonical-json.ts";
import { hashedText, stateToJson } from "../../reducers/state-json.ts";
import type { State } from "../../reducers/state.ts";
import { isoTime } from "../schemas/fields.ts";
import type { StateDiff } from "../schemas/history.ts";

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

/** Indexes repeat what the tables say. */
const DERIVED = new Set(["byExternal", "byInternal"]);

/** What differs, by JSON Pointer, in the order of the document. */
export function stateDiffView(before: State, after: State): StateDiff {
  const changes: StateDiff["changes"] = [];
  diffObjects(withoutDerived(before), withoutDerived(after), "", changes);
  return { from: before.seq, to: after.seq, changes };
}

function withoutDerived(state: State): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stateToJson(state)).filter(([name]) => !DERIVED.has(name)));
}

function diffObjects(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  path: string,
  changes: StateDiff["changes"],
): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[key], after[key]];
    const here = `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (old === now) continue;
    if (old === undefined) changes.push({ op: "add", path: here, before: null, after: now });
    else if (now === undefined) changes.push({ op: "remove", path: here, before: old, after: null });
    else if (isObject(old) && isObject(now)) diffObjects(old, now, here, changes);
    else if (canonicalJson(old) !== canonicalJson(now))
      changes.push({ op: "change", path: here, before: old, after: now });
  }
}

/** Arrays are compared whole: their items have no names to compare by. */
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
