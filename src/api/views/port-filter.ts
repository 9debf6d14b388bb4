import { parseIpv4 } from "../../lib/ip.ts";
import { tableRows } from "../../lib/table.ts";
import { externalAddress } from "../../reducers/select/external-address.ts";
import { mappingAt } from "../../reducers/port-index.ts";
import type { Mapping, State } from "../../reducers/state.ts";

export interface PortFilter {
  /** External port; a range holds each of its ports. */
  readonly port?: number | undefined;
  readonly protocol?: "tcp" | "udp" | undefined;
  /** External address. */
  readonly address?: string | undefined;
  /** Internal address. */
  readonly device?: string | undefined;
}

/** Mappings that fit, in the order people look for them: by external port, tcp before udp. */
export function filterMappings(state: State, filter: PortFilter): Mapping[] {
  const found: Mapping[] = [];
  for (const mapping of candidates(state, filter)) {
    const { externalPort, count } = mapping;
    if (filter.port !== undefined && (filter.port < externalPort || filter.port >= externalPort + count)) continue;
    if (filter.protocol !== undefined && mapping.protocol !== filter.protocol) continue;
    if (filter.device !== undefined && mapping.internalAddress !== filter.device) continue;
    if (filter.address !== undefined && externalAddress(state, mapping.wan) !== filter.address) continue;
    found.push(mapping);
  }
  return found.sort(byPlace);
}

/** With a port named, the index of external ports has the answer; walking 60,000 mappings would take longer than the change. */
function* candidates(state: State, { port, protocol }: PortFilter): Iterable<Mapping> {
  if (port === undefined) {
    yield* tableRows(state.mappings);
    return;
  }
  for (const wan of wansOf(state)) {
    for (const each of protocol === undefined ? (["tcp", "udp"] as const) : [protocol]) {
      const mapping = mappingAt(state, wan, each, port);
      if (mapping !== undefined) yield mapping;
    }
  }
}

/** Mappings may still name a WAN that the configuration no longer does. */
function wansOf(state: State): Set<string> {
  return new Set([...state.settings.wan.interfaces, ...Object.keys(state.wanAddresses)]);
}

function byPlace(a: Mapping, b: Mapping): number {
  if (a.externalPort !== b.externalPort) return a.externalPort - b.externalPort;
  if (a.protocol !== b.protocol) return a.protocol < b.protocol ? -1 : 1;
  const [first, second] = [parseIpv4(a.internalAddress) ?? 0, parseIpv4(b.internalAddress) ?? 0];
  return first - second || (a.id < b.id ? -1 : 1);
}
