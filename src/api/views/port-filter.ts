import { parseIpv4 } from "../../lib/ip.ts";
import { tableRows } from "../../lib/table.ts";
import { externalAddress } from "../../reducers/external-address.ts";
import { pinholesOf } from "../../reducers/pinholes.ts";
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

export interface RouteFilter extends PortFilter {
  /** TLS name, as it is kept. */
  readonly name?: string | undefined;
}

/** Routes that fit, by external port and name. */
export function filterRoutes(state: State, { name, ...filter }: RouteFilter): Mapping[] {
  const named = [...tableRows(state.mappings)].filter((mapping) => mapping.name !== null);
  const found = named.filter(
    (mapping) => (name === undefined || mapping.name === name) && fits(state, mapping, filter),
  );
  return found.sort((a, b) => a.externalPort - b.externalPort || ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
}

/** Mappings of whole ports that fit, in the order people look for them: by external port, tcp before udp. */
export function filterMappings(state: State, filter: PortFilter): Mapping[] {
  const found: Mapping[] = [];
  for (const mapping of candidates(state, filter)) {
    if (mapping.name === null && fits(state, mapping, filter)) found.push(mapping);
  }
  return found.sort(byPlace);
}

function fits(state: State, mapping: Mapping, { port, protocol, device, address }: PortFilter): boolean {
  const { externalPort, count } = mapping;
  if (port !== undefined && (port < externalPort || port >= externalPort + count)) return false;
  if (protocol !== undefined && mapping.protocol !== protocol) return false;
  if (device !== undefined && mapping.internalAddress !== device) return false;
  return address === undefined || externalAddress(state, mapping.wan) === address;
}

/** With a port named, the index of external ports has the answer; walking 60,000 mappings would take longer than the change. */
function* candidates(state: State, { port, protocol }: PortFilter): Iterable<Mapping> {
  if (port === undefined) {
    yield* tableRows(state.mappings);
    return;
  }
  for (const pinhole of pinholesOf(state)) {
    if (pinhole.externalPort === port && (protocol ?? pinhole.protocol) === pinhole.protocol) yield pinhole;
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
