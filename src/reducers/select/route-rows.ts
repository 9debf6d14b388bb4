import { ipv6For, parseIpv6Prefix } from "../../lib/ipv6.ts";
import { tunnelInterface } from "../served.ts";
import type { State, Subnet } from "../state.ts";
import type { Desired, DesiredTable } from "./desired.ts";
import type { RouteRow } from "./rows.ts";

/** The gateway's addresses on its subnets, with prefix length; the kernel makes the routes to them by itself. */
export function subnetAddresses(subnet: Subnet): string[] {
  const prefix = subnet.ipv6Prefix === null ? null : parseIpv6Prefix(subnet.ipv6Prefix);
  if (prefix === null) return [subnet.prefix];
  const ipv4 = subnet.prefix.slice(0, subnet.prefix.indexOf("/"));
  return [subnet.prefix, `${ipv6For(prefix, ipv4)}/${prefix.length}`];
}

export const routeKey = (row: RouteRow): string =>
  row.kind === "address"
    ? `address|${row.interface}|${row.address}`
    : row.kind === "route"
      ? `route|${row.table}|${row.prefix}`
      : row.kind === "rule"
        ? `rule|${row.priority}|${row.mark}`
        : `neighbour|${row.interface}|${row.address}`;

/** A small table that is built whole for each state it depends on. */
class RouteTable implements DesiredTable<RouteRow> {
  readonly #rows = new Map<string, Desired<RouteRow>>();

  constructor(state: State) {
    const name = tunnelInterface(state);
    if (name === null) return;
    for (const subnet of Object.values(state.subnets)) {
      for (const address of subnetAddresses(subnet)) {
        this.#add(
          { kind: "address", interface: name, address },
          subnet.id,
          Math.max(subnet.revision, state.servedRevision),
        );
      }
    }
  }

  #add(spec: RouteRow, owner: string, revision: number): void {
    const key = routeKey(spec);
    this.#rows.set(key, { key, spec, owners: [owner], revision });
  }

  get(key: string): Desired<RouteRow> | undefined {
    return this.#rows.get(key);
  }

  rows(): Iterable<Desired<RouteRow>> {
    return this.#rows.values();
  }

  changedSince(previous: DesiredTable<RouteRow>): Iterable<string> | null {
    return previous === this ? [] : null;
  }
}

/** The same subnets on the same interface give the same table object. */
export function selectRoutes(): (state: State) => DesiredTable<RouteRow> {
  let last: { subnets: State["subnets"]; settings: number; served: number; table: RouteTable } | null = null;
  return (state) => {
    const { subnets, settingsRevision: settings, servedRevision: served } = state;
    if (last === null || last.subnets !== subnets || last.settings !== settings || last.served !== served) {
      last = { subnets, settings, served, table: new RouteTable(state) };
    }
    return last.table;
  };
}
