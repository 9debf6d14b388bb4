import { unreachable } from "../../lib/assert.ts";
import { formatIpv4, parseIpv4Prefix, prefixText, withoutLength } from "../../lib/ip.ts";
import { ipv6For, parseIpv6 } from "../../lib/ipv6.ts";
import { tableChanges, tableRows } from "../../lib/table.ts";
import { RETURN_MARK, RETURN_MASK, VIA_MASK, viaMark } from "../../lib/via-mark.ts";
import { deviceAt } from "../device.ts";
import { servedInterfaces, tunnelInterface } from "../served.ts";
import type { Device, State, Subnet } from "../state.ts";
import { type Desired, type DesiredTable, remembering, rememberingBy } from "./desired.ts";
import { ipv6Place, ipv6PrefixOf } from "../ipv6-place.ts";
import { needsProxy } from "./proxy-need.ts";
import type { RouteRow } from "./rows.ts";
import { type Via, waysOut } from "./ways-out.ts";

type Row = Desired<RouteRow>;

/** The gateway's addresses on its subnets, with prefix length; the kernel makes the routes to them by itself. */
function subnetAddresses(state: State, subnet: Subnet): string[] {
  const prefix = ipv6PrefixOf(subnet);
  if (prefix === null || ipv6Place(state, prefix).kind === "taken") return [subnet.prefix];
  const ipv4 = withoutLength(subnet.prefix);
  return [subnet.prefix, `${ipv6For(prefix, ipv4)}/${prefix.length}`];
}

export function routeKey(row: RouteRow): string {
  switch (row.kind) {
    case "address":
    case "neighbour":
      return `${row.kind}|${row.interface}|${row.address}`;
    case "route":
    case "unreachable":
    case "local":
      return `${row.kind}|${row.table}|${row.prefix}`;
    case "rule":
      return `rule|${row.priority}|${row.mark}`;
    case "source":
      return `rule|${row.priority}|${row.from}`;
    case "arrival":
      return `rule|${row.priority}|${row.interface}`;
    default:
      return unreachable(row);
  }
}

/** Of table ids and rule priorities: before the main table's 32766, and before those that wg-quick makes. */
const VIA_BASE = 19_100;
const MAIN_TABLE = 254;

/** Before the rules of WANs: what is on its way back to a client must not leave by one. */
const RETURN_PRIORITY = VIA_BASE - 1;
const RETURN_TABLE = VIA_BASE - 1;

/**
 * While HAProxy has its clients' addresses, what is for them is for the machine itself, where it comes from a target. By
 * interface: with `src_valid_mark=1` the kernel asks, with the same mark and no interface, whether the target may send.
 */
export function* returnPathRows(served: readonly string[]): Generator<RouteRow> {
  yield { kind: "local", table: RETURN_TABLE, prefix: DEFAULT };
  for (const name of served) {
    const marked = { mark: RETURN_MARK, mask: RETURN_MASK } as const;
    yield { kind: "arrival", priority: RETURN_PRIORITY, interface: name, ...marked, table: RETURN_TABLE };
  }
}

function* rowsOfVia({ number, interface: name, up, gateway, addresses }: Via): Generator<RouteRow> {
  const table = VIA_BASE + number;
  yield { kind: "rule", priority: VIA_BASE, mark: viaMark(number), mask: VIA_MASK, table };
  yield { kind: "unreachable", table, prefix: DEFAULT };
  if (!up) return;
  for (const prefix of new Set(addresses.flatMap(networkText))) {
    yield { kind: "route", table, prefix, interface: name, gateway: null };
  }
  if (gateway !== null) {
    const by = gateway === "link" ? null : gateway;
    yield { kind: "route", table, prefix: DEFAULT, interface: name, gateway: by };
  }
  for (const cidr of addresses) {
    const from = withoutLength(cidr);
    // Served networks are reached as ever; only what would leave by a default route leaves by this one's.
    yield { kind: "source", priority: VIA_BASE + 1, from, table: MAIN_TABLE, specific: true };
    yield { kind: "source", priority: VIA_BASE + 2, from, table, specific: false };
  }
}

const DEFAULT = "0.0.0.0/0";

/** The network an address is in; none for one that is alone. */
function networkText(cidr: string): string[] {
  const prefix = parseIpv4Prefix(cidr);
  return prefix === null || prefix.length === 32 ? [] : [prefixText(prefix)];
}

/** What depends on the subnets and the topology, and on no device: built once for all states that have the same. */
class Ground {
  readonly rows = new Map<string, Row>();
  /** Subnet → WANs on which the gateway answers for its devices' IPv6 addresses. */
  readonly proxies = new Map<string, readonly string[]>();

  constructor(state: State) {
    this.#addWays(state);
    this.#addReturnPath(state);
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

  #addReturnPath(state: State): void {
    if (!needsProxy(state)) return;
    for (const spec of returnPathRows(servedInterfaces(state).map((served) => served.interface))) {
      const key = routeKey(spec);
      const revision = Math.max(state.servedRevision, state.settingsRevision);
      this.rows.set(key, { key, spec, owners: ["settings"], revision });
    }
  }

  /** A table for each WAN, where there are several; what is marked with its number, or has its address, leaves by it. */
  #addWays(state: State): void {
    if (servedInterfaces(state).length === 0 && state.mappings.size === 0) return;
    for (const via of waysOut(state).vias) {
      for (const spec of rowsOfVia(via)) {
        const key = routeKey(spec);
        this.rows.set(key, { key, spec, owners: ["settings"], revision: state.topologyRevision });
      }
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
  const groundOf = rememberingBy(
    (state: State) => [state.subnets, state.topologyRevision, state.mappings.size > 0, needsProxy(state)],
    (state) => new Ground(state),
  );
  return remembering((state) => new RouteTable(state, groundOf(state)));
}
