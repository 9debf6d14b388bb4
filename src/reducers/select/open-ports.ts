import type { Transport } from "../../events/fields.ts";
import { mappingAt, mappingsSharing } from "../port-index.ts";
import { isOpen } from "../reach.ts";
import type { Mapping, State } from "../state.ts";
import { ofTopology } from "../topology.ts";
import { addressesOf, namedWans } from "./forward-keys.ts";

interface Addresses {
  /** Of each WAN that has any. */
  readonly of: ReadonlyMap<string, readonly string[]>;
  /** WANs by each address that packets to them may carry; several only where one was named in two ways. */
  readonly wansAt: ReadonlyMap<string, readonly string[]>;
}

const addressesOfAll = ofTopology((topology): Addresses => {
  const of = new Map<string, readonly string[]>();
  const wansAt = new Map<string, string[]>();
  for (const wan of namedWans(topology)) {
    const addresses = addressesOf(topology, wan);
    if (addresses.length === 0) continue;
    of.set(wan, addresses);
    for (const each of addresses) wansAt.set(each, [...(wansAt.get(each) ?? []), wan]);
  }
  return { of, wansAt };
});

/** What is open on the external ports of each address, read through the state's own indexes. */
export class OpenPorts {
  readonly #state: State;
  readonly #addresses: Addresses;

  constructor(state: State) {
    this.#state = state;
    this.#addresses = addressesOfAll(state);
  }

  /** All that packets to a WAN may carry. */
  get addresses(): Iterable<string> {
    return this.#addresses.wansAt.keys();
  }

  wansAt(address: string): readonly string[] {
    return this.#addresses.wansAt.get(address) ?? [];
  }

  /** The machine's own first. */
  addressesOf(wan: string): readonly string[] {
    return this.#addresses.of.get(wan) ?? [];
  }

  /** Where two WANs have one address, the older mapping keeps what both have. */
  at(address: string, find: (wan: string) => Mapping | undefined): Mapping | undefined {
    const wans = this.wansAt(address);
    if (wans.length === 1) return opened(find(wans[0] as string));
    return oldestFirst(wans.flatMap((wan) => opened(find(wan)) ?? []))[0];
  }

  /** What has a whole port. */
  whole(address: string, protocol: Transport, port: number): Mapping | undefined {
    return this.at(address, (wan) => mappingAt(this.#state, wan, protocol, port));
  }

  wholeOn(wan: string, protocol: Transport, port: number): Mapping | undefined {
    return opened(mappingAt(this.#state, wan, protocol, port));
  }

  /** What has single names of a port, oldest first. */
  named(address: string, protocol: Transport, port: number): Mapping[] {
    if (protocol !== "tcp" || this.#state.shared.size === 0) return [];
    const named = this.wansAt(address).flatMap((wan) => mappingsSharing(this.#state, wan, protocol, port));
    return oldestFirst(named.filter(isOpen));
  }
}

const opened = (mapping: Mapping | undefined): Mapping | undefined =>
  mapping !== undefined && isOpen(mapping) ? mapping : undefined;

export const oldestFirst = (mappings: Mapping[]): Mapping[] => mappings.sort((a, b) => a.createdSeq - b.createdSeq);
