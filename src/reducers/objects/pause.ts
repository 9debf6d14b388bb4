import { event } from "../../events/index.ts";
import { ownRow } from "../../lib/own-row.ts";
import type { State } from "../state.ts";
import { CHANGED_SINCE, objectKind, refOf, timeText } from "./kind.ts";

interface Pause {
  readonly name: string;
  readonly until: number;
}

/** A reconciler that lets its target alone. */
export const pauses = objectKind<Pause>({
  name: "reconciler",
  keysOf: ({ type, data }) => (type === "reconciler.paused" || type === "reconciler.resumed" ? [data.name] : []),
  read: ({ pauses }: State, name) => {
    const until = ownRow(pauses, name);
    return until === undefined ? undefined : { name, until };
  },
  describe: ({ name, until }) => ({ name, says: { "paused until": timeText(until) } }),
  takeAway: (made, now) =>
    made.until === now.until ? [event("reconciler.resumed", { name: made.name })] : changedSince(made),
  edit: ({ before, after, now }) =>
    after.until === now.until ? [event("reconciler.paused", before)] : changedSince(now),
  giveBack: (ended) => [event("reconciler.paused", { ...ended })],
});

const changedSince = ({ name }: Pause) => ({ why: CHANGED_SINCE, by: [refOf("reconciler", name)] });
