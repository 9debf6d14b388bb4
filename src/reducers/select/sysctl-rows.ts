import type { State, Subnet } from "../state.ts";
import { servedInterfaces, tunnelInterface } from "../served.ts";
import { type Desired, type DesiredTable, rememberingBy } from "./desired.ts";
import { ipv6Place, ipv6PrefixOf } from "../ipv6-place.ts";
import type { SysctlRow } from "./rows.ts";
import { waysOut } from "./ways-out.ts";

const STRICT = [
  "1",
  "a packet is taken only from the interface its source is reached by, so nobody borrows an address",
] as const;
const LOOSE = [
  "2",
  "there are several WANs, and what comes in by one is taken wherever its source is reached",
] as const;

/** A small desired table that is built whole for each state it depends on. */
class SysctlTable implements DesiredTable<SysctlRow> {
  readonly #rows = new Map<string, Desired<SysctlRow>>();

  constructor(state: State) {
    const { settings, mappings } = state;
    const lans = servedInterfaces(state).map((served) => served.interface);
    if (lans.length === 0 && mappings.size === 0) return;
    const there = (name: string): boolean => state.interfaces[name] !== undefined;
    const add = (name: string, [value, reason]: readonly [string, string]): void =>
      this.#add({ name, value, reason }, ["settings"], state.topologyRevision);
    add("net.ipv4.ip_forward", ["1", "without it the kernel forwards nothing between interfaces"]);
    // With several ways out the kernel's own choice for a source need not be the one that its packets come by.
    const loose = new Set(waysOut(state).vias.map((via) => via.interface));
    for (const name of [...lans, ...settings.wan.interfaces].filter(there)) {
      add(`net.ipv4.conf.${name}.rp_filter`, loose.has(name) ? LOOSE : STRICT);
    }
    if (tunnelInterface(state) !== null) this.#addIpv6(state, settings.wan.interfaces.filter(there));
  }

  /** Wanted by the subnets that have an IPv6 prefix. */
  #addIpv6(state: State, wans: readonly string[]): void {
    const subnets = Object.values(state.subnets).filter((subnet) => ipv6PrefixOf(subnet) !== null);
    if (subnets.length === 0) return;
    const add = (owners: readonly Subnet[], spec: SysctlRow): void => {
      const revision = Math.max(state.topologyRevision, ...owners.map((subnet) => subnet.revision));
      this.#add(spec, owners.map(({ id }) => id).sort(), revision);
    };
    for (const wan of wans) {
      const reason =
        "once the machine forwards, its IPv6 default route ends if routers are not listened to all the same";
      // 0: another program keeps the route, as systemd-networkd does.
      add(subnets, { name: `net.ipv6.conf.${wan}.accept_ra`, value: "2", unless: "0", reason });
    }
    const forwarding = "net.ipv6.conf.all.forwarding";
    add(subnets, { name: forwarding, value: "1", reason: "without it the kernel forwards no IPv6" });
    const proxied = subnets.filter((subnet) => {
      const prefix = ipv6PrefixOf(subnet);
      return prefix !== null && ipv6Place(state, prefix).kind === "on-link";
    });
    if (proxied.length === 0) return;
    // Of all, not of the WAN: only then are questions to a device's own address answered here (ip6_forward of the kernel).
    const reason = "the WAN's neighbours ask the gateway for devices in their network";
    add(proxied, { name: "net.ipv6.conf.all.proxy_ndp", value: "1", reason });
  }

  #add(spec: SysctlRow, owners: readonly string[], revision: number): void {
    this.#rows.set(spec.name, { key: spec.name, spec, owners, revision });
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

/** The same topology and subnets give the same table object. */
export function selectSysctls(): (state: State) => DesiredTable<SysctlRow> {
  return rememberingBy(
    ({ subnets, topologyRevision, mappings }) => [subnets, topologyRevision, mappings.size > 0],
    (state) => new SysctlTable(state),
  );
}
