import { tableChanges, tableGet, tableRows } from "../../lib/table.ts";
import { deviceKey, type State } from "../state.ts";
import { type Desired, type DesiredTable, sizeAfter } from "./desired.ts";
import type { GuardRow } from "./rows.ts";

/** Rows of the guard and the anchor: there while an interface is served, and the holders of mappings in them. */
class GuardTable implements DesiredTable<GuardRow> {
  readonly #state: State;
  readonly #instanceId: string;

  readonly size: number;

  constructor(state: State, instanceId: string, previous: GuardTable | null) {
    this.#state = state;
    this.#instanceId = instanceId;
    this.size = sizeAfter(this, previous);
  }

  get(key: string): Desired<GuardRow> | undefined {
    const { settings, mappings, settingsRevision } = this.#state;
    const lans = settings.lan.map((lan) => lan.interface);
    if (key === "anchor") {
      if (lans.length === 0 && mappings.size === 0) return undefined;
      const spec = { kind: "anchor", instanceId: this.#instanceId } as const;
      return { key, spec, owners: ["settings"], revision: settingsRevision };
    }
    if (lans.length === 0) return undefined;
    if (key === "guard") {
      const { requestsPerSecond } = settings.portControl.perDevice;
      const spec = {
        kind: "guard",
        instanceId: this.#instanceId,
        wans: settings.wan.interfaces,
        lans,
        requestsPerSecond,
      } as const;
      return { key, spec, owners: ["settings"], revision: settingsRevision };
    }
    const address = key.slice("holder|".length);
    const owners = lans.flatMap((lan) => tableGet(this.#state.devices, deviceKey(lan, address))?.mappingIds ?? []);
    if (!key.startsWith("holder|") || owners.length === 0) return undefined;
    const revision = Math.max(...owners.map((id) => tableGet(mappings, id)?.createdSeq ?? 0));
    return { key, spec: { kind: "holder", address }, owners: owners.sort(), revision };
  }

  *rows(): Iterable<Desired<GuardRow>> {
    const keys = new Set(["guard", "anchor"]);
    for (const device of tableRows(this.#state.devices)) keys.add(`holder|${device.address}`);
    for (const key of keys) {
      const row = this.get(key);
      if (row !== undefined) yield row;
    }
  }

  changedSince(previous: DesiredTable<GuardRow>): Iterable<string> | null {
    if (!(previous instanceof GuardTable) || previous.#instanceId !== this.#instanceId) return null;
    const [before, after] = [previous.#state, this.#state];
    if (before.settingsRevision !== after.settingsRevision) return null;
    const keys = new Set<string>();
    if (before.mappings.size === 0 || after.mappings.size === 0) keys.add("anchor");
    for (const { before: old, after: now } of tableChanges(before.devices, after.devices)) {
      for (const device of [old, now]) if (device !== undefined) keys.add(`holder|${device.address}`);
    }
    return keys;
  }
}

/** The same state gives the same table object. */
export function selectGuard(instanceId: string): (state: State) => DesiredTable<GuardRow> {
  let last: { state: State; table: GuardTable } | null = null;
  return (state) => {
    if (last?.state !== state) last = { state, table: new GuardTable(state, instanceId, last?.table ?? null) };
    return last.table;
  };
}
