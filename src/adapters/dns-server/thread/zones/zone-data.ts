import type { DnsRecord } from "../../../../protocols/dns/message.ts";
import { type DomainName, isAtOrBelow, type NameKey, parentOf } from "../../../../lib/domain-name.ts";

/** The views that see something; null: all of them. */
export type SeenBy = readonly string[] | null;

/** What is published at one name: it has one owner, so it is seen in the same views as a whole. */
export interface PublishedName {
  readonly name: DomainName;
  readonly views: SeenBy;
  /** By type; never empty. */
  readonly sets: ReadonlyMap<number, readonly DnsRecord[]>;
}

const EVERY_VIEW = "*";

/** A name of the tree: published, or with a published name or a zone below it (RFC 8020's empty non-terminal), or both. */
interface Node {
  published: PublishedName | null;
  /** How many names and apexes below are seen in a view; those that all see are under `*`. */
  readonly below: Map<string, number>;
}

/**
 * What we are authoritative for, as the names' tree. A change costs as much as its name has labels, whatever else is
 * published, and a question as many look-ups.
 */
export class ZoneData {
  readonly #nodes = new Map<NameKey, Node>();
  readonly #apexes = new Map<NameKey, SeenBy>();
  #serial = 1;
  #version = 0;

  /** Rises with each change: whoever remembers an answer remembers this with it. */
  get version(): number {
    return this.#version;
  }

  /** RFC 1035 §3.3.13; of all zones alike. 0 is skipped, as RFC 2136 §4.2 lets nobody set it. */
  get serial(): number {
    return this.#serial;
  }

  setSerial(serial: number): void {
    this.#serial = serial % 0x1_0000_0000 || 1;
    this.#version += 1;
  }

  publish(published: PublishedName): void {
    const { key } = published.name;
    this.withdraw(key);
    this.#node(key).published = published;
    this.#count(key, published.views, 1);
    this.#version += 1;
  }

  withdraw(key: NameKey): void {
    const node = this.#nodes.get(key);
    if (node === undefined || node.published === null) return;
    const { views } = node.published;
    node.published = null;
    this.#count(key, views, -1);
    this.#dropIfEmpty(key, node);
    this.#version += 1;
  }

  setZone(apex: NameKey, views: SeenBy): void {
    this.removeZone(apex);
    this.#apexes.set(apex, views);
    this.#count(apex, views, 1);
    this.#version += 1;
  }

  removeZone(apex: NameKey): void {
    const views = this.#apexes.get(apex);
    if (views === undefined) return;
    this.#apexes.delete(apex);
    this.#count(apex, views, -1);
    this.#version += 1;
  }

  published(view: string, key: NameKey): PublishedName | null {
    const published = this.#nodes.get(key)?.published ?? null;
    return published !== null && sees(published.views, view) ? published : null;
  }

  /** RFC 4592 §2.2.2: a name without records exists all the same where there are names below it. */
  hasBelow(view: string, key: NameKey): boolean {
    const below = this.#nodes.get(key)?.below;
    return below !== undefined && (below.has(EVERY_VIEW) || below.has(view));
  }

  /** The apex of the closest zone a name is in; a published name outside of zones is in none. */
  zoneOf(view: string, key: NameKey): NameKey | null {
    for (let at: NameKey | null = key; at !== null; at = parentOf(at)) {
      const views = this.#apexes.get(at);
      if (views !== undefined && sees(views, view)) return at;
    }
    return null;
  }

  /** What is published in a zone, zones inside it left out, in the order of publication. */
  *inZone(view: string, apex: NameKey): Iterable<PublishedName> {
    for (const [key, { published }] of this.#nodes) {
      if (published === null || !sees(published.views, view) || !isAtOrBelow(key, apex)) continue;
      if ((this.zoneOf(view, key) ?? apex) === apex) yield published;
    }
  }

  #node(key: NameKey): Node {
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = { published: null, below: new Map() };
      this.#nodes.set(key, node);
    }
    return node;
  }

  #count(key: NameKey, views: SeenBy, change: 1 | -1): void {
    for (let at = parentOf(key); at !== null; at = parentOf(at)) {
      const node = this.#node(at);
      for (const view of views ?? [EVERY_VIEW]) {
        const count = (node.below.get(view) ?? 0) + change;
        if (count === 0) node.below.delete(view);
        else node.below.set(view, count);
      }
      this.#dropIfEmpty(at, node);
    }
  }

  #dropIfEmpty(key: NameKey, node: Node): void {
    if (node.published === null && node.below.size === 0) this.#nodes.delete(key);
  }
}

function sees(views: SeenBy, view: string): boolean {
  return views === null || views.includes(view);
}
