import type { Transport } from "../../events/fields.ts";
import { tableEntries, tableGet } from "../../lib/table.ts";
import { admittedPeers } from "../reach.ts";
import { externalKey, isPinhole, type Mapping, type State } from "../state.ts";
import { pinholeKeysOf } from "./pinhole-rows.ts";
import { ofTopology, type Topology } from "../topology.ts";
import { knownWans, wanAddress } from "../external-address.ts";
import { HTTP_PORT } from "./proxy-need.ts";
import { waysOut } from "./ways-out.ts";

export const namedWans = ofTopology(knownWans);

export const externalPorts = ({ externalPort, count }: Mapping): string =>
  `${externalPort}-${externalPort + count - 1}`;

/** Consecutive ports that keep their numbers are one interval; with an offset each port is an element of its own. */
export const isRange = (mapping: Mapping): boolean =>
  mapping.count > 1 && mapping.externalPort === mapping.internalPort;

/** Keys of every row a mapping stands behind, for its status. */
export function forwardKeysOf(state: State, mapping: Mapping): string[] {
  return [...keysOf(mapping, addressesOf(state, mapping.wan), waysOut(state).vias.length > 0)];
}

/** Behind 1:1 NAT packets carry the interface's own address, and hosts inside use the reported one (hairpin). */
export function addressesOf(state: Topology, wan: string): readonly string[] {
  const address = wanAddress(state, wan);
  return address === null ? [] : [...new Set([address.matched, address.reported])];
}

/** `routed`: there are several ways out. */
export function* keysOf(mapping: Mapping, addresses: readonly string[], routed: boolean): Generator<string> {
  if (isPinhole(mapping)) {
    yield* pinholeKeysOf(mapping);
    return;
  }
  const { protocol, externalPort, internalPort, internalAddress, count } = mapping;
  const peers = admittedPeers(mapping);
  for (const address of addresses) {
    const ports = `${address}|${protocol}|${externalPorts(mapping)}`;
    if (peers !== null || mapping.name !== null) yield `restricted|${ports}`;
    for (const { prefix, port } of peers ?? []) {
      yield port === null ? `allowed|${ports}|${prefix}` : `allowedPort|${ports}|${prefix}|${port}`;
    }
    if (isRange(mapping)) yield `range|${address}|${protocol}|${externalPort}-${externalPort + count - 1}`;
    else for (let i = 0; i < count; i += 1) yield `forward|${address}|${protocol}|${externalPort + i}`;
  }
  for (let i = 0; i < count; i += 1) {
    if (mapping.name === null) yield `outbound|${internalAddress}|${protocol}|${internalPort + i}`;
    yield `ours|${protocol}|${externalPort + i}`;
  }
  yield* deviceKeysOf(mapping, routed);
}

/** Of the rows of a mapping, those that depend on the device it leads to. */
export function* deviceKeysOf(mapping: Mapping, routed: boolean): Generator<string> {
  if (isPinhole(mapping)) return;
  const { internalAddress, protocol, internalPort, count } = mapping;
  for (let i = 0; i < count; i += 1) {
    yield `visited|${internalAddress}|${protocol}|${internalPort + i}`;
    if (routed) yield `portVia|${internalAddress}|${protocol}|${internalPort + i}`;
  }
}

/** A deletion that an event explains although no earlier table held the row: its port was released a while ago. */
export function forwardDeletionExplained(state: State, key: string): boolean {
  const [kind, address = "", protocol = "", ports = ""] = key.split("|");
  switch (kind) {
    case "severed":
      return true;
    case "outbound":
    case "ours":
    case "restricted":
    case "allowed":
    case "allowedPort":
    case "visited":
    case "portVia":
      // Nothing records when these went; a state that still has mappings has not lost its source.
      return state.mappings.size > 0;
    case "pinhole":
    case "pinholeFrom":
    case "pinholeFromPort":
      return (
        state.mappings.size > 0 ||
        tableGet(state.quarantine, externalKey(address, protocol as Transport, Number(ports))) !== undefined ||
        tableGet(state.severed, `${address}|${protocol}|${ports}`) !== undefined
      );
    case "egress":
      return state.devices.size > 0;
    case "hostVia":
      // There are as many as devices with a WAN of their own and addresses of WANs, and a restart makes them anew.
      return true;
    case "forward":
    case "range":
      return externalDeletionExplained(state, address, protocol as Transport, Number(ports.split("-")[0]));
    default:
      return false;
  }
}

function externalDeletionExplained(state: State, address: string, protocol: Transport, port: number): boolean {
  const wan = namedWans(state).find((name) => addressesOf(state, name).includes(address));
  if (wan === undefined) {
    const known = Object.values(state.wanAddresses);
    return known.every(({ matched, reported }) => matched !== address && reported !== address);
  }
  const matched = wanAddress(state, wan)?.matched;
  // Nothing records when HTTP ceased to be sent to HTTPS.
  if (protocol === "tcp" && port === HTTP_PORT && state.mappings.size > 0) return true;
  return (
    namedLately(state.quarantine).has(externalKey(wan, protocol, port)) ||
    tableGet(state.quarantine, externalKey(wan, protocol, port)) !== undefined ||
    tableGet(state.severed, `${matched}|${protocol}|${port}`) !== undefined
  );
}

const named = new WeakMap<object, ReadonlySet<string>>();

/** External ports of which a name was released a while ago. */
function namedLately(quarantine: State["quarantine"]): ReadonlySet<string> {
  const known = named.get(quarantine);
  if (known !== undefined) return known;
  const parts = [...tableEntries(quarantine)].map(([key]) => key.split("|"));
  const ports = new Set(parts.filter(({ length }) => length > 3).map((key) => key.slice(0, 3).join("|")));
  named.set(quarantine, ports);
  return ports;
}
