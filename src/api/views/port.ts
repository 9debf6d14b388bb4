import type { Deadlines } from "../../reducers/deadlines.ts";
import { filterText, isOpen } from "../../reducers/reach.ts";
import { externalAddress } from "../../reducers/external-address.ts";
import { seenSource } from "../../reducers/served-device.ts";
import { type Device, hostOf, isPinhole, type Mapping, type State, UNKNOWN_HOST } from "../../reducers/state.ts";
import { isoTime, isoTimeOrNull } from "../../lib/iso-time.ts";
import type { Block, Condition, Port } from "../schemas/port.ts";
import { registeredAt, strangerId } from "./device.ts";
import { type PortRow, rowError, rowSync } from "./rows.ts";

export interface PortContext {
  readonly state: State;
  readonly deadlines: Pick<Deadlines, "deadlineOf">;
  readonly now: number;
  readonly rowsOf: (mapping: Mapping) => readonly PortRow[];
}

/** A mapping as people and scripts see it. Pure. */
export function portView(mapping: Mapping, context: PortContext): Port {
  const { state, deadlines } = context;
  const claims = mapping.claims.map((claim) => ({
    source: claim.source,
    device: claim.device,
    expiresAt: claim.expiresAt === null ? null : (deadlines.deadlineOf(mapping.id, claim.key) ?? claim.expiresAt),
    peers: claim.filters.map(filterText),
    description: claim.description,
    enabled: claim.enabled,
  }));
  const ends = claims.map((claim) => claim.expiresAt);
  const expiresAt = ends.includes(null) ? null : Math.max(...(ends as number[]));
  const address = externalAddress(state, mapping.wan);
  const sync = syncOf(mapping, address, context);
  const { interface: iface, internalAddress } = mapping;
  const host = hostOf(mapping);
  const registered = iface === null ? undefined : registeredAt(state, iface, host);
  return {
    id: mapping.id,
    protocol: mapping.protocol,
    external: { address, port: mapping.externalPort },
    internal: { address: internalAddress, port: mapping.internalPort },
    count: mapping.count,
    wan: mapping.wan,
    source: mapping.claims[0]?.source ?? "manual",
    claims: claims.map((claim) => ({ ...claim, expiresAt: isoTimeOrNull(claim.expiresAt) })),
    device: iface === null ? null : deviceNamed(registered, iface, host === UNKNOWN_HOST ? internalAddress : host),
    label: mapping.label,
    name: mapping.name,
    enabled: mapping.enabled,
    managedBy: mapping.claims.find((claim) => claim.managedBy !== undefined)?.managedBy ?? null,
    sourceAddress: seenSource(mapping, registered),
    from: mapping.from,
    expiresAt: isoTimeOrNull(expiresAt),
    sync: sync.sync,
    error: sync.sync === "error" ? sync.message : null,
    revision: mapping.revision,
    observedRevision: sync.observedRevision,
    conditions: [syncedCondition(sync)],
  };
}

/** Its own id and name if it is registered, else its address. */
function deviceNamed(device: Device | undefined, iface: string, address: string): NonNullable<Port["device"]> {
  if (device !== undefined) return { id: device.id, name: device.name };
  return { id: strangerId(iface, address), name: address };
}

interface Sync {
  readonly sync: Port["sync"];
  readonly reason: string;
  readonly message: string;
  readonly since: number | null;
  readonly observedRevision: number;
}

function syncOf(mapping: Mapping, address: string | null, { rowsOf, now }: PortContext): Sync {
  const rows = rowsOf(mapping);
  const kinds = rows.map(rowSync);
  const oldest = Math.min(mapping.revision, ...rows.map((row) => row.status?.revision ?? 0));
  const failing = rows[kinds.indexOf("error")];
  if (failing !== undefined) {
    const message = rowError(failing, now) ?? `${failing.reconciler} could not apply it`;
    const reason = failing.status?.error?.code ?? "APPLY_FAILED";
    return { sync: "error", reason, message, since: failing.status?.since ?? null, observedRevision: oldest };
  }
  if (isOpen(mapping) && address === null) {
    const message = `${mapping.wan} has no external address; the port opens when it has one`;
    return { sync: "pending", reason: "NO_EXTERNAL_ADDRESS", message, since: null, observedRevision: oldest };
  }
  if (kinds.includes("pending")) {
    const message = "the kernel does not have it yet";
    return { sync: "pending", reason: "PENDING", message, since: null, observedRevision: oldest };
  }
  const since = rows.length === 0 ? null : Math.max(...rows.map((row) => row.status?.since ?? 0));
  const does = isPinhole(mapping) ? ["lets it in", "let it in"] : ["forwards it", "forward it"];
  const message = isOpen(mapping) ? `the kernel ${does[0]}` : `it is disabled and the kernel does not ${does[1]}`;
  return { sync: "synced", reason: "SYNCED", message, since, observedRevision: mapping.revision };
}

function syncedCondition({ sync, reason, message, since, observedRevision }: Sync): Condition {
  const status = sync === "synced" ? "True" : sync === "error" ? "False" : "Unknown";
  return { type: "Synced", status, reason, message, since: isoTimeOrNull(since), observedRevision };
}

/** What operators refuse, oldest first. */
export function blocksView(state: State): Block[] {
  return Object.values(state.blocks)
    .sort((a, b) => a.at - b.at)
    .map(({ device, protocol, internalPort, at }) => ({ device, protocol, internalPort, since: isoTime(at) }));
}
