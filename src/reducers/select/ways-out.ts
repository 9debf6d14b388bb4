import type { RouteGateway } from "../../events/fields.ts";
import { isHostIpv4, parseIpv4, withoutLength } from "../../lib/ip.ts";
import { VIA_MAX } from "../../lib/via-mark.ts";
import { ofTopology, type Topology } from "../topology.ts";

/** A WAN interface as a way out, where there are several. */
export interface Via {
  readonly number: number;
  readonly interface: string;
  readonly up: boolean;
  /** Null while nothing can leave by it. */
  readonly gateway: RouteGateway | null;
  /** Its IPv4 addresses, with prefix length. */
  readonly addresses: readonly string[];
}

/**
 * By which WAN what leaves. With one WAN, or while no gateway is known, that is the machine's own routes' business and
 * `vias` is empty.
 */
export class WaysOut {
  readonly vias: readonly Via[];

  constructor({ settings, interfaces }: Topology) {
    const names = settings.wan.interfaces;
    const known = names.some((name) => interfaces[name]?.gateway != null);
    const numbers = names.length > 1 && known ? numbered(names) : new Map<string, number>();
    this.vias = [...numbers].map(([name, number]): Via => {
      const { up = false, gateway = null, addresses = [] } = interfaces[name] ?? {};
      const own = addresses.filter((cidr) => isHostIpv4(withoutLength(cidr)));
      return { number, interface: name, up, gateway: up ? gateway : null, addresses: own };
    });
  }

  /** The way of all that has no WAN of its own: the first in the configured order that leads out. */
  get usual(): Via | undefined {
    return this.vias.find(({ gateway }) => gateway !== null);
  }

  /** The way out by a WAN; undefined while it leads nowhere, or is the only one. */
  by(wan: string): Via | undefined {
    const via = parseIpv4(wan) === null ? this.vias.find((each) => each.interface === wan) : this.with(wan);
    return via?.gateway == null ? undefined : via;
  }

  /** The way out whose own address this is. */
  with(address: string): Via | undefined {
    return this.vias.find(({ addresses }) => addresses.some((cidr) => cidr.startsWith(`${address}/`)));
  }

  /** Whether what has a WAN's address may leave now: never by another one's provider. */
  leads(wan: string): boolean {
    return this.vias.length === 0 || this.by(wan) !== undefined;
  }
}

/**
 * By its name, so that a WAN that goes and comes back finds its flows again; where two names meet, the one that sorts
 * later has the next number.
 */
function numbered(names: readonly string[]): Map<string, number> {
  const numbers = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of [...names].sort()) {
    let number = (hash(name) % VIA_MAX) + 1;
    while (taken.has(number)) number = (number % VIA_MAX) + 1;
    taken.add(number);
    numbers.set(name, number);
  }
  return new Map(names.map((name) => [name, numbers.get(name) as number]));
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return value;
}

export const waysOut = ofTopology((topology) => new WaysOut(topology));
