import { kindNamed } from "../../reducers/objects/index.ts";
import type { State } from "../../reducers/state.ts";
import type { ConfirmationDocument } from "../schemas/change.ts";
import { isoTime } from "../../lib/iso-time.ts";

/** What waits for a confirmation, the most urgent first. Pure. */
export function confirmationsView(state: State): ConfirmationDocument[] {
  const pending = Object.values(state.confirmations).sort((a, b) => a.until - b.until);
  return pending.map(({ id, until, seqs, objects }) => ({
    id,
    until: isoTime(until),
    seqs: [...seqs],
    objects: objects.map((ref) => {
      const [kind, key] = splitRef(ref);
      return { kind, id: key, name: kindNamed(kind)?.describe(state, key)?.name ?? key };
    }),
  }));
}

const splitRef = (ref: string): [string, string] => {
  const space = ref.indexOf(" ");
  return [ref.slice(0, space), ref.slice(space + 1)];
};
