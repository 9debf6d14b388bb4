import type { ListedMapping } from "../../protocols/upnp/port-listing.ts";
import type { EntryRange } from "./exchange.ts";

/** Of one answer. Who asks for a list goes on behind the last port of it (WANIPConnection:2 §2.5.21). */
const LISTED_MAX = 256;

/**
 * The port mappings of one host as an array that is never written out: a call costs as much as the host has mappings,
 * whatever they hold, and a host may have thousands of ports.
 */
export class Entries {
  readonly #ranges: readonly EntryRange[];

  constructor(ranges: readonly EntryRange[]) {
    this.#ranges = ranges;
  }

  get length(): number {
    return this.#ranges.reduce((sum, { count }) => sum + count, 0);
  }

  /** Another for other mappings; what is left of their leases is no part of it. */
  get identity(): string {
    return JSON.stringify(this.#ranges.map((range) => ({ ...range, leaseSeconds: 0 })));
  }

  at(index: number): ListedMapping | null {
    let before = 0;
    for (const range of this.#ranges) {
      if (index < before + range.count) return entryAt(range, index - before);
      before += range.count;
    }
    return null;
  }

  find(protocol: "TCP" | "UDP", port: number, remoteHost: string): ListedMapping | null {
    const found = this.#ranges.find(
      (range) => range.protocol === protocol && range.remoteHost === remoteHost && offsetOf(range, port) !== null,
    );
    return found === undefined ? null : entryAt(found, port - found.externalPort);
  }

  /** Those of a range of ports, in their order, so many at most; 0: as many as fit into an answer, to whole ports. */
  within(protocol: "TCP" | "UDP", first: number, last: number, most: number): readonly ListedMapping[] {
    const room = most === 0 ? LISTED_MAX : Math.min(most, LISTED_MAX);
    const entries: ListedMapping[] = [];
    // Ports that several ranges share have a range each, of that one port.
    const sorted = this.#ranges.toSorted((a, b) => a.externalPort - b.externalPort);
    for (const range of sorted.filter((each) => each.protocol === protocol)) {
      const end = Math.min(last, range.externalPort + range.count - 1);
      for (let port = Math.max(first, range.externalPort); port <= end; port += 1) {
        const begun = most === 0 && entries.at(-1)?.externalPort === port;
        if (entries.length >= room && !begun) break;
        entries.push(entryAt(range, port - range.externalPort));
      }
    }
    return entries;
  }
}

function offsetOf({ externalPort, count }: EntryRange, port: number): number | null {
  const offset = port - externalPort;
  return offset >= 0 && offset < count ? offset : null;
}

function entryAt(range: EntryRange, offset: number): ListedMapping {
  return { ...range, externalPort: range.externalPort + offset, internalPort: range.internalPort + offset };
}
