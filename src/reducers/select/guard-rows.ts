import { isIpv6 } from "../../lib/ipv6.ts";
import { tableChanges, tableGet, tableRows } from "../../lib/table.ts";
import { servedInterfaces, siteOf } from "../served.ts";
import { hostOf, type Mapping, type State } from "../state.ts";
import { usagesOf } from "../usage.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import { needsProxy } from "./proxy-need.ts";
import type { GuardRow } from "./rows.ts";

const HOLDER = "holder|";

/** Rows of the guard and the anchor: there while an interface is served or HAProxy runs, and the holders of mappings in them. */
class GuardTable implements DesiredTable<GuardRow> {
  readonly #state: State;
  readonly #instanceId: string;

  constructor(state: State, instanceId: string) {
    this.#state = state;
    this.#instanceId = instanceId;
  }

  get(key: string): Desired<GuardRow> | undefined {
    const { settings, mappings } = this.#state;
    const served = Math.max(this.#state.settingsRevision, this.#state.servedRevision);
    const lans = servedInterfaces(this.#state).map((served) => served.interface);
    const isGuarded = lans.length > 0 || needsProxy(this.#state);
    if (key === "anchor") {
      if (!isGuarded && mappings.size === 0) return undefined;
      const spec = { kind: "anchor", instanceId: this.#instanceId } as const;
      return { key, spec, owners: ["settings"], revision: served };
    }
    if (!isGuarded) return undefined;
    if (key === "guard") {
      const { requestsPerSecond } = settings.portControl.perDevice;
      const spec = {
        kind: "guard",
        instanceId: this.#instanceId,
        wans: settings.wan.interfaces,
        lans,
        requestsPerSecond,
      } as const;
      return { key, spec, owners: ["settings"], revision: served };
    }
    const address = key.slice(HOLDER.length);
    if (isIpv6(address)) return undefined;
    const owners = lans.flatMap((lan) => {
      return usagesOf(this.#state, siteOf(this.#state, lan), address).flatMap(({ mappingIds }) => mappingIds);
    });
    if (!key.startsWith(HOLDER) || owners.length === 0) return undefined;
    // Since its oldest mapping: the later ones changed nothing of the row.
    const revision = tableGet(mappings, owners[0] as string)?.createdSeq ?? 0;
    return { key, spec: { kind: "holder", address }, owners: owners.sort(), revision };
  }

  *rows(): Iterable<Desired<GuardRow>> {
    const keys = new Set(["guard", "anchor"]);
    for (const device of tableRows(this.#state.usages)) keys.add(holderKey(device.address));
    for (const key of keys) {
      const row = this.get(key);
      if (row !== undefined) yield row;
    }
  }

  changedSince(previous: DesiredTable<GuardRow>): Iterable<string> | null {
    if (!(previous instanceof GuardTable) || previous.#instanceId !== this.#instanceId) return null;
    const [before, after] = [previous.#state, this.#state];
    if (before.settingsRevision !== after.settingsRevision || before.servedRevision !== after.servedRevision)
      return null;
    const keys = new Set<string>();
    if (before.mappings.size === 0 || after.mappings.size === 0) keys.add("anchor");
    if (needsProxy(before) !== needsProxy(after)) keys.add("guard").add("anchor");
    for (const { before: old, after: now } of tableChanges(before.usages, after.usages)) {
      if (old?.mappingIds[0] !== now?.mappingIds[0]) keys.add(holderKey((old ?? now)?.address as string));
    }
    return keys;
  }
}

export function selectGuard(instanceId: string): (state: State) => DesiredTable<GuardRow> {
  return remembering((state) => new GuardTable(state, instanceId));
}

/** The row that a mapping is one owner of, while a device holds it. */
export function guardKeysOf(_state: State, mapping: Mapping): string[] {
  return isIpv6(hostOf(mapping)) ? [] : [holderKey(hostOf(mapping))];
}

const holderKey = (address: string): string => `${HOLDER}${address}`;
