import type { State } from "../state.ts";
import { servedInterfaces } from "../served.ts";
import type { Desired, DesiredTable } from "./desired.ts";
import type { SysctlRow } from "./rows.ts";

/** A small desired table that is built whole for each state it depends on. */
class SysctlTable implements DesiredTable<SysctlRow> {
  readonly #rows = new Map<string, Desired<SysctlRow>>();

  constructor(state: State) {
    const { settings, mappings } = state;
    const lans = servedInterfaces(state).map((served) => served.interface);
    if (lans.length === 0 && mappings.size === 0) return;
    this.#add(state, "net.ipv4.ip_forward", "1", "without it the kernel forwards nothing between interfaces");
    for (const name of [...lans, ...settings.wan.interfaces].filter((each) => state.interfaces[each] !== undefined)) {
      const reason = "a packet is taken only from the interface its source is reached by, so nobody borrows an address";
      this.#add(state, `net.ipv4.conf.${name}.rp_filter`, "1", reason);
    }
  }

  #add(state: State, name: string, value: string, reason: string): void {
    this.#rows.set(name, {
      key: name,
      spec: { name, value, reason },
      owners: ["settings"],
      revision: state.topologyRevision,
    });
  }

  get(key: string): Desired<SysctlRow> | undefined {
    return this.#rows.get(key);
  }

  rows(): Iterable<Desired<SysctlRow>> {
    return this.#rows.values();
  }

  changedSince(previous: DesiredTable<SysctlRow>): Iterable<string> | null {
    return previous === this ? [] : null;
  }
}

/** The same topology gives the same table object. */
export function selectSysctls(): (state: State) => DesiredTable<SysctlRow> {
  let last: { revision: number; any: boolean; table: SysctlTable } | null = null;
  return (state) => {
    const any = state.mappings.size > 0;
    if (last === null || last.revision !== state.topologyRevision || last.any !== any) {
      last = { revision: state.topologyRevision, any, table: new SysctlTable(state) };
    }
    return last.table;
  };
}
