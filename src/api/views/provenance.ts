import type { PortreeveRecord } from "../../events/index.ts";
import type { Mapping } from "../../reducers/state.ts";
import { type Unanswered, unansweredOf, unansweredText } from "../../reducers/unanswered.ts";
import { isoTime, isoTimeOrNull } from "../../lib/iso-time.ts";
import type { Provenance } from "../schemas/provenance.ts";
import { type PortContext, portView } from "./port.ts";
import { recordView } from "./record.ts";
import { type PortRow, rowError, rowSync } from "./rows.ts";

/** Who wants a port, by which records, and what became of each of its rows. `records` are those about it. Pure. */
export function provenanceView(
  mapping: Mapping,
  { records, unread }: { readonly records: readonly PortreeveRecord[]; readonly unread: Provenance["unread"] },
  context: PortContext,
): Provenance {
  const unanswered = unansweredOf(context.state, mapping);
  return {
    port: portView(mapping, context),
    notes: unanswered === null ? [] : [noteText(unanswered)],
    claims: mapping.claims.map((claim) => {
      const made = records.findLast((record) => claimMadeBy(record) === claim.key);
      const end = context.deadlines.deadlineOf(mapping.id, claim.key) ?? claim.expiresAt;
      return {
        key: claim.key,
        source: claim.source,
        device: claim.device,
        expiresAt: isoTimeOrNull(claim.expiresAt === null ? null : end),
        seq: made?.seq ?? null,
        at: made === undefined ? null : isoTime(made.at),
        by: made?.source ?? null,
        requestId: made?.requestId ?? null,
      };
    }),
    events: records.map(recordView),
    unread,
    rows: context.rowsOf(mapping).map((row) => rowView(row, context.now)),
  };
}

export function noteText(unanswered: Unanswered): string {
  const { what, fix } = unansweredText(unanswered);
  return `${what}. ${fix}.`;
}

function claimMadeBy({ event }: PortreeveRecord): string | null {
  return event.type === "mapping.granted" || event.type === "lease.granted" ? event.data.claim.key : null;
}

export function rowView(row: PortRow, now: number): Provenance["rows"][number] {
  const { reconciler, key, desired, status } = row;
  return {
    reconciler,
    key,
    owners: [...(desired?.owners ?? [])],
    spec: desired?.spec ?? null,
    revision: desired?.revision ?? 0,
    status: rowSync(row),
    attempts: status?.attempts ?? 0,
    retryAt: isoTimeOrNull(status?.retryAt ?? null),
    error: rowError(row, now),
    since: isoTimeOrNull(status?.since ?? null),
  };
}
