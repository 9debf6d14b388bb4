import type { PeerFilter } from "../../src/events/mapping.ts";
import { redirectedAddresses, SENT_TO_HTTPS, SHARED_BY_NAME } from "./expected-routes.ts";
import { isWithinPeer } from "./rights.ts";
import { isOpen, type PromisedMapping, type Promises } from "./promises.ts";

/**
 * What must be in the kernel at rest, by the names that `FaultyKernel.elements` gives: for each promise that is live and
 * enabled, and for nothing else.
 */
export function expectedElements(promises: Promises): Map<string, string> {
  const expected = new Map<string, string>();
  const { settings, mappings, listeners } = promises;
  if (settings === null || (settings.lan.length === 0 && mappings.size === 0)) return expected;
  const outboundOrder = new Map<string, number>();
  for (const mapping of mappings.values()) {
    if (holdsDeviceClaim(mapping)) expected.set(`holders ${mapping.host ?? mapping.internalAddress}`, "");
    if (!isOpen(mapping)) continue;
    for (let offset = 0; offset < mapping.count; offset += 1) {
      // What a name is asked for at has an address, or nothing is led there.
      const isThere = mapping.name === null || promises.addressesOf(mapping.wan) !== null;
      if (settings.wan.interfaces.includes(mapping.wan) && isThere) {
        expected.set(`ours ${mapping.protocol} . ${mapping.externalPort + offset}`, "");
      }
    }
    if (mapping.internalAddress.includes(":")) {
      addPinholes(expected, mapping);
      continue;
    }
    addForwards(expected, mapping, promises);
    if (mapping.name !== null) continue;
    addOutbound(expected, outboundOrder, mapping, promises);
    addFilters(expected, mapping, promises);
  }
  for (const { address, own } of redirectedAddresses(promises)) {
    expected.set(`forwards ${address} . tcp . 80`, `${own} . ${SENT_TO_HTTPS}`);
    expected.set("ours tcp . 80", "");
  }
  for (const { protocol, port } of listeners) expected.set(`ours ${protocol} . ${port}`, "");
  return expected;
}

const holdsDeviceClaim = (mapping: PromisedMapping): boolean =>
  mapping.interface !== null && isOfIpv4(mapping) && [...mapping.claims.values()].some(({ device }) => device !== null);

/** The address that its host is counted by. */
const isOfIpv4 = ({ host, internalAddress }: PromisedMapping): boolean => !(host ?? internalAddress).includes(":");

/** What a host of IPv6 lets in to itself, from whom. */
function addPinholes(expected: Map<string, string>, mapping: PromisedMapping): void {
  const place = `${mapping.internalAddress} . ${mapping.protocol} . ${mapping.internalPort}`;
  const wanting = [...mapping.claims.values()].filter(({ enabled }) => enabled);
  const everyone = wanting.some(({ filters }) => filters.length === 0);
  if (everyone) expected.set(`pinholes ${place}`, "");
  for (const { prefix, port } of everyone
    ? []
    : widest(
        wanting.flatMap(({ filters }) => [...filters]),
        isWithinPeer,
      )) {
    expected.set(
      port === null ? `pinholes_from ${place} . ${prefix}` : `pinholes_from_ports ${place} . ${prefix} . ${port}`,
      "",
    );
  }
}

function addForwards(expected: Map<string, string>, mapping: PromisedMapping, promises: Promises): void {
  const { wan, protocol, externalPort, internalAddress, internalPort, count } = mapping;
  const [own] = promises.addressesOf(wan)?.all ?? [];
  for (const address of promises.addressesOf(wan)?.all ?? []) {
    if (count === 1 && promises.named(wan, protocol, externalPort).some(isOpen)) {
      expected.set(`forwards ${address} . ${protocol} . ${externalPort}`, `${own} . ${SHARED_BY_NAME}`);
      continue;
    }
    if (count > 1 && externalPort === internalPort) {
      const ports = `${externalPort}-${externalPort + count - 1}`;
      expected.set(`ranges ${address} . ${protocol} . ${ports}`, internalAddress);
      continue;
    }
    for (let offset = 0; offset < count; offset += 1) {
      const to = `${internalAddress} . ${internalPort + offset}`;
      expected.set(`forwards ${address} . ${protocol} . ${externalPort + offset}`, to);
    }
  }
}

/** What leaves an internal port has the external port of the oldest mapping that leads to it. */
function addOutbound(
  expected: Map<string, string>,
  orders: Map<string, number>,
  mapping: PromisedMapping,
  promises: Promises,
): void {
  const address = promises.addressesOf(mapping.wan)?.all[0];
  if (address === undefined) return;
  for (let offset = 0; offset < mapping.count; offset += 1) {
    const key = `outbound ${mapping.internalAddress} . ${mapping.protocol} . ${mapping.internalPort + offset}`;
    if ((orders.get(key) ?? Number.POSITIVE_INFINITY) < mapping.order) continue;
    orders.set(key, mapping.order);
    expected.set(key, `${address} . ${mapping.externalPort + offset}`);
  }
}

/** Whom it lets in, where that is not everyone; where names share the port, HAProxy keeps the others out. */
function addFilters(expected: Map<string, string>, mapping: PromisedMapping, promises: Promises): void {
  const { wan, protocol, externalPort, count } = mapping;
  const peers = admitted(mapping);
  if (peers.length === 0) return;
  const ports = count === 1 ? `${externalPort}` : `${externalPort}-${externalPort + count - 1}`;
  const shared = promises.named(wan, protocol, externalPort).some(isOpen);
  for (const address of promises.addressesOf(wan)?.all ?? []) {
    if (!shared) expected.set(`restricted ${address} . ${protocol} . ${ports}`, "");
    for (const { prefix, port } of peers) {
      const key = `${address} . ${protocol} . ${ports} . ${prefix}`;
      expected.set(port === null ? `allowed ${key}` : `allowed_ports ${key} . ${port}`, "");
    }
  }
}

/** Of each that claims name, and that is within what its operator has it reached from, the widest; none: everyone. */
function admitted({ claims, from }: PromisedMapping): PeerFilter[] {
  const wanting = [...claims.values()].filter(({ enabled }) => enabled);
  const everyone = wanting.some(({ filters }) => filters.length === 0);
  const anywhere = from.map((prefix) => ({ prefix, port: null }));
  const asked = everyone ? [] : wanting.flatMap(({ filters }) => [...filters]);
  const peers =
    asked.length === 0
      ? anywhere
      : asked.filter((peer) => from.length === 0 || from.some((prefix) => isIn(peer, { prefix, port: null })));
  return widest(peers, isIn);
}

function widest(peers: readonly PeerFilter[], isWithin: typeof isIn): PeerFilter[] {
  const distinct = [...new Map(peers.map((peer) => [`${peer.prefix} ${peer.port}`, peer])).values()];
  return distinct.filter((peer) => !distinct.some((other) => other !== peer && isWithin(peer, other)));
}

/** Of the few that the simulation asks for: one network, one host of it, and others. */
function isIn(peer: PeerFilter, other: PeerFilter): boolean {
  const within =
    peer.prefix === other.prefix || (other.prefix === "203.0.113.0/24" && peer.prefix.startsWith("203.0.113."));
  return within && (other.port === null || other.port === peer.port);
}

/** The differences, in words. */
export function differences(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const all: string[] = [];
  for (const [key, value] of expected) {
    const there = found.get(key);
    if (there === undefined) all.push(`${key} is missing`);
    else if (there !== value) all.push(`${key} leads to ${there} instead of ${value}`);
  }
  for (const key of found.keys()) if (!expected.has(key)) all.push(`${key} is there and nobody was promised it`);
  return all;
}
