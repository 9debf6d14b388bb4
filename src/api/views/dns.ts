import { suffixesOf } from "../../lib/domain-name.ts";
import { tableGet, tableRows } from "../../lib/table.ts";
import type { Deadlines } from "../../reducers/deadlines.ts";
import { recordWithId } from "../../reducers/dns-record.ts";
import { ownName, ownRecords, viewIdOf, viewsOfName, zoneViews } from "../../reducers/dns-view.ts";
import type { Device, DnsName, DnsRecord, State } from "../../reducers/state.ts";
import type { RecordRow } from "../schemas/dns.ts";
import { isoTimeOrNull } from "../../lib/iso-time.ts";

export interface RecordContext {
  readonly state: State;
  readonly deadlines: Pick<Deadlines, "recordDeadline">;
}

function recordRow({ state, deadlines }: RecordContext, holder: DnsName, record: DnsRecord): RecordRow {
  const device = holder.device === null ? undefined : tableGet(state.devices, holder.device);
  const { id, type, value, ttl, expiresAt, managedBy = null } = record;
  return {
    id,
    name: holder.name,
    type,
    value,
    ttl,
    source: holder.device === null ? "manual" : "update",
    device: device === undefined ? null : { id: device.id, name: device.name },
    expiresAt: isoTimeOrNull(expiresAt === null ? null : (deadlines.recordDeadline(id) ?? expiresAt)),
    views: viewsCopy(viewsOfName(state, holder)),
    outside: !isInZone(state, holder.name),
    managedBy,
    revision: record.revision,
  };
}

const isInZone = (state: State, name: string): boolean =>
  suffixesOf(name).some((suffix) => zoneViews(state, suffix) !== undefined);

const viewsCopy = (views: readonly string[] | null): string[] | null => (views === null ? null : [...views]);

/** What a device is called by itself: nobody put it there, so it has no id of its own. */
function ownRows(state: State, device: Device): RecordRow[] {
  const name = ownName(state, device);
  if (name === null) return [];
  return ownRecords(state, device, tableGet(state.names, name)?.records ?? []).map(({ type, ttl, value }) => ({
    id: `${device.id}.${type}`,
    name,
    type,
    value,
    ttl,
    source: "device",
    device: { id: device.id, name: device.name },
    expiresAt: null,
    views: [viewIdOf(device)],
    outside: false,
    managedBy: null,
    revision: device.revision,
  }));
}

export function recordView(context: RecordContext, id: string): RecordRow | null {
  const found = recordWithId(context.state, id);
  return found === undefined ? null : recordRow(context, found.holder, found.record);
}

/** All there are, by name, type and value. */
export function recordsView(context: RecordContext): RecordRow[] {
  const { state } = context;
  const put = [...tableRows(state.names)].flatMap((holder) =>
    holder.records.map((record) => recordRow(context, holder, record)),
  );
  const own = [...tableRows(state.devices)].flatMap((device) => ownRows(state, device));
  const place = ({ name, type, value }: RecordRow): string =>
    `${name.split(".").toReversed().join(".")} ${type} ${value}`;
  const placed = [...put, ...own].map((row) => ({ row, at: place(row) }));
  return placed.sort((a, b) => (a.at < b.at ? -1 : 1)).map(({ row }) => row);
}
