import { ipv6For, parseIpv6 } from "../../lib/ipv6.ts";
import { formatIpv4 } from "../../lib/ip.ts";
import { tableChanges, tableRows } from "../../lib/table.ts";
import { deviceAt } from "../device.ts";
import { tunnelInterface } from "../served.ts";
import type { Device, State, Subnet } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import { ipv6Place, ipv6PrefixOf } from "./ipv6-place.ts";
import type { RouteRow } from "./rows.ts";

type Row = Desired<RouteRow>;

/** The gateway's addresses on its subnets, with prefix length; the kernel makes the routes to them by itself. */
function subnetAddresses(state: State, subnet: Subnet): string[] {
  const prefix = ipv6PrefixOf(subnet);
  if (prefix === null || ipv6Place(state, prefix).kind === "taken") return [subnet.prefix];
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

/** What depends on the subnets and the topology, and on no device: built once for all states that have the same. */
class Ground {
  readonly rows = new Map<string, Row>();
  /** Subnet → WANs on which the gateway answers for its devices' IPv6 addresses. */
  readonly proxies = new Map<string, readonly string[]>();

  constructor(state: State) {
    const name = tunnelInterface(state);
    if (name === null) return;
    for (const subnet of Object.values(state.subnets)) {
      const revision = Math.max(subnet.revision, state.servedRevision);
      for (const address of subnetAddresses(state, subnet)) {
        const spec = { kind: "address", interface: name, address } as const;
        const key = routeKey(spec);
        this.rows.set(key, { key, spec, owners: [subnet.id], revision });
      }
      const prefix = ipv6PrefixOf(subnet);
      const place = prefix === null ? null : ipv6Place(state, prefix);
      if (place?.kind === "on-link") this.proxies.set(subnet.id, place.wans);
    }
  }
}

class RouteTable implements DesiredTable<RouteRow> {
  readonly #state: State;
  readonly #ground: Ground;

  constructor(state: State, ground: Ground) {
    this.#state = state;
    this.#ground = ground;
  }

  get(key: string): Row | undefined {
    const [kind, wan = "", address = ""] = key.split("|");
    return kind === "neighbour" ? this.#neighbour(wan, address) : this.#ground.rows.get(key);
  }

  *rows(): Iterable<Row> {
    yield* this.#ground.rows.values();
    if (this.#ground.proxies.size === 0) return;
    for (const device of tableRows(this.#state.devices)) yield* this.#neighboursOf(device);
  }

  changedSince(previous: DesiredTable<RouteRow>): Iterable<string> | null {
    if (!(previous instanceof RouteTable) || previous.#ground !== this.#ground) return null;
    if (this.#ground.proxies.size === 0) return [];
    return tableChanges(previous.#state.devices, this.#state.devices).flatMap(({ before, after }) => [
      ...(before === undefined ? [] : [...previous.#neighboursOf(before)].map(({ key }) => key)),
      ...(after === undefined ? [] : [...this.#neighboursOf(after)].map(({ key }) => key)),
    ]);
  }

  *#neighboursOf(device: Device): Generator<Row> {
    const subnet = device.subnet === null ? undefined : this.#state.subnets[device.subnet];
    const prefix = subnet === undefined ? null : ipv6PrefixOf(subnet);
    if (subnet === undefined || prefix === null) return;
    for (const wan of this.#ground.proxies.get(subnet.id) ?? []) {
      const spec = { kind: "neighbour", interface: wan, address: ipv6For(prefix, device.address) } as const;
      const { servedRevision, interfaces } = this.#state;
      const revision = Math.max(device.revision, subnet.revision, servedRevision, interfaces[wan]?.revision ?? 0);
      yield { key: routeKey(spec), spec, owners: [device.id], revision };
    }
  }

  /** The last 32 bits of a device's address are its IPv4 address. */
  #neighbour(wan: string, address: string): Row | undefined {
    const [high = 0, low = 0] = parseIpv6(address)?.slice(6) ?? [];
    const device = deviceAt(this.#state, null, formatIpv4(((high << 16) | low) >>> 0));
    if (device === undefined) return undefined;
    const key = routeKey({ kind: "neighbour", interface: wan, address });
    return [...this.#neighboursOf(device)].find((row) => row.key === key);
  }
}

/** Tables of states with the same subnets on the same interfaces share all but their devices. */
export function selectRoutes(): (state: State) => DesiredTable<RouteRow> {
  let last: { readonly subnets: State["subnets"]; readonly topology: number; readonly ground: Ground } | null = null;
  return remembering((state) => {
    const { subnets, topologyRevision: topology } = state;
    if (last === null || last.subnets !== subnets || last.topology !== topology) {
      last = { subnets, topology, ground: new Ground(state) };
    }
    return new RouteTable(state, last.ground);
  });
}
