import type { PromisedMapping, Promises } from "./promises.ts";

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
    if (holdsDeviceClaim(mapping)) expected.set(`holders ${mapping.internalAddress}`, "");
    if (!mapping.enabled) continue;
    for (let offset = 0; offset < mapping.count; offset += 1) {
      if (settings.wan.interfaces.includes(mapping.wan)) {
        expected.set(`ours ${mapping.protocol} . ${mapping.externalPort + offset}`, "");
      }
    }
    addForwards(expected, mapping, promises);
    addOutbound(expected, outboundOrder, mapping, promises);
  }
  for (const { protocol, port } of listeners) expected.set(`ours ${protocol} . ${port}`, "");
  return expected;
}

const holdsDeviceClaim = (mapping: PromisedMapping): boolean =>
  mapping.interface !== null && [...mapping.claims.values()].some(({ device }) => device !== null);

function addForwards(expected: Map<string, string>, mapping: PromisedMapping, promises: Promises): void {
  const { wan, protocol, externalPort, internalAddress, internalPort, count } = mapping;
  for (const address of promises.addressesOf(wan)?.all ?? []) {
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
