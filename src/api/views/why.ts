import type { PortreeveRecord } from "../../events/index.ts";
import type { Reconciler } from "../../reconcilers/contract.ts";
import { isoTime } from "../../lib/iso-time.ts";
import type { WhyDocument } from "../schemas/why.ts";
import type { Found, Owner } from "../why.ts";
import { noteText, rowView } from "./provenance.ts";
import { recordView } from "./record.ts";
import { rowError, rowSync } from "./rows.ts";

/** What was found, in sentences and in parts. Pure. */
export function whyView(
  found: Found,
  reconcilers: readonly Pick<Reconciler, "name" | "status">[],
  now: number,
): WhyDocument {
  const { kind, key, name, owners, records, gone } = found;
  const rows = found.rows.map(({ reconciler, desired }) => {
    const status = reconcilers.find((each) => each.name === reconciler)?.status(desired.key);
    return { reconciler, key: desired.key, desired, status };
  });
  const asked = records.filter(({ seq }) => seq !== gone?.seq).at(0);
  const what = `${kind} ${name}`;
  const text = [
    gone === null ? `${what} is there.` : `${what} is gone since ${recordText(gone)}.`,
    ...owners
      .filter((owner) => owner.id !== key)
      .map((owner) => `${gone === null ? "It belongs" : "It belonged"} to ${ownerText(owner)}.`),
    ...owners
      .filter((owner) => owner.id === key)
      .map((owner) => `${gone === null ? "It is" : "It was"} ${saysText(owner)}.`),
    ...found.unanswered.map(noteText),
    ...(asked === undefined ? [] : [`It came about by ${recordText(asked)}.`]),
    ...rows.map((row) => {
      const state = { done: "is in the kernel", pending: "is not in the kernel yet", error: "" }[rowSync(row)];
      return `${row.reconciler}: ${row.key} ${rowError(row, now) ?? state}`;
    }),
  ];
  return {
    kind,
    key,
    name,
    present: gone === null,
    text,
    owners: owners.map(({ kind: ownerKind, id, described }) => {
      return { kind: ownerKind, id, name: described.name, says: { ...described.says } };
    }),
    events: records.map(recordView),
    gone: gone === null ? null : { seq: gone.seq, at: isoTime(gone.at), by: gone.source, type: gone.event.type },
    rows: rows.map((row) => rowView(row, now)),
  };
}

const recordText = ({ seq, event, source, at }: PortreeveRecord): string =>
  `record ${seq} (${event.type} by ${source}, ${isoTime(at)})`;

function ownerText(owner: Owner): string {
  const says = saysText(owner);
  const kind = owner.kind === "other" ? "" : `${owner.kind} `;
  return `${kind}${owner.described.name}${says === "" ? "" : ` (${says})`}`;
}

const saysText = ({ described }: Owner): string =>
  Object.entries(described.says)
    .map(([field, value]) => `${field} ${value}`)
    .join(", ");
