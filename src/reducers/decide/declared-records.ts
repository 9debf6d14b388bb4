import type { Declaration, DeclaredRecord } from "../../events/declaration.ts";
import { event } from "../../events/index.ts";
import { valueKey } from "../../lib/dns-record.ts";
import { tableRows } from "../../lib/table.ts";
import type { DnsName, DnsRecord, State } from "../state.ts";
import { decideRecordAdd, decideRecordEdit } from "./dns-record.ts";
import type { Draft } from "./draft.ts";

interface Made extends DnsRecord, Pick<DnsName, "name"> {}

const rrsetOf = ({ name, type }: Pick<Made, "name" | "type">): string => `${name} ${type}`;
const keyOf = (record: Pick<Made, "name" | "type" | "value">): string =>
  `${rrsetOf(record)} ${valueKey(record.type, record.value)}`;

/** Records that a declaration made and that are there. */
function madeBy(state: State, declaration: Pick<Declaration, "name">): Made[] {
  return [...tableRows(state.names)].flatMap(({ name, records }) =>
    records.flatMap((record) => (record.managedBy === declaration.name ? [{ ...record, name }] : [])),
  );
}

function remove(records: readonly Made[], draft: Draft): void {
  draft.log(records.map(({ id }) => event("record.removed", { id, reason: "operator" })));
}

/** What a declaration made at names and types that it says nothing of any more. */
export function pruneRecords(declaration: Declaration, draft: Draft): void {
  const kept = new Set(declaration.records.map(rrsetOf));
  const gone = madeBy(draft.state, declaration).filter((record) => !kept.has(rrsetOf(record)));
  remove(gone, draft);
}

/** A name and type has the values that are declared; another value of the declaration's own goes. */
export function putRecords(declaration: Declaration, draft: Draft): void {
  const wanted = new Map(declaration.records.map((record) => [keyOf(record), record]));
  const named = new Set(declaration.records.map(rrsetOf));
  const made = new Map(madeBy(draft.state, declaration).map((record) => [keyOf(record), record]));
  remove(
    [...made].filter(([key, record]) => named.has(rrsetOf(record)) && !wanted.has(key)).map(([, record]) => record),
    draft,
  );
  for (const [key, declared] of wanted) putRecord(declared, made.get(key), declaration, draft);
}

function putRecord(declared: DeclaredRecord, made: Made | undefined, declaration: Declaration, draft: Draft): void {
  const { name, type: recordType, value, ttl } = declared;
  draft.do(`record ${name} ${recordType}`, (envelope, state) => {
    if (made === undefined) {
      const add = {
        type: "record.add",
        name,
        recordType,
        value,
        ttl,
        views: null,
        managedBy: declaration.name,
      } as const;
      return decideRecordAdd({ ...envelope, ...add }, state);
    }
    return decideRecordEdit({ ...envelope, type: "record.edit", id: made.id, ...(ttl !== null && { ttl }) }, state);
  });
}
