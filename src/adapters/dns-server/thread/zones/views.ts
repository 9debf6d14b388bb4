import { createHmac, createSecretKey } from "node:crypto";
import type { DnsViewRow } from "../../../../lib/dns-row.ts";
import { type NameKey, parseName } from "../../../../lib/domain-name.ts";
import { Networks } from "../../../../lib/networks.ts";
import type { TsigKey } from "../../../../protocols/dns/tsig.ts";
import type { Vantage } from "./authority.ts";
import type { DnsListener, KeysRow } from "../../messages.ts";

/** Sources whose belonging is remembered; beyond, it is found out anew. */
const SOURCES_MAX = 8192;

/** A view as the worker knows it: who may ask there, and with what keys devices sign there. */
export class View implements Vantage {
  readonly row: DnsViewRow;
  readonly servers: readonly string[];
  readonly #networks: Networks;
  readonly #known = new Map<string, boolean>();

  constructor(row: DnsViewRow, servers: readonly string[]) {
    this.row = row;
    this.servers = servers;
    this.#networks = new Networks(row.prefixes);
  }

  get view(): string {
    return this.row.id;
  }

  /** On a LAN a source may be a lie; a tunnel lets a peer have its own addresses only. */
  get sourcesAreProven(): boolean {
    return !this.row.id.startsWith("lan:");
  }

  /** Whether a source is one of those it is served to. */
  admits(source: string): boolean {
    let admitted = this.#known.get(source);
    if (admitted === undefined) {
      admitted = this.#networks.contain(source);
      if (this.#known.size >= SOURCES_MAX) this.#known.clear();
      this.#known.set(source, admitted);
    }
    return admitted;
  }
}

export interface DeviceKey {
  readonly device: string;
  readonly key: TsigKey;
}

interface Keys extends Pick<KeysRow, "device" | "view" | "sources"> {
  readonly keys: readonly TsigKey[];
}

/** All views, where they are served, and the devices' keys in them. */
export class Views {
  readonly #rows = new Map<string, DnsViewRow>();
  readonly #keys = new Map<string, Keys>();
  #listeners: readonly DnsListener[] = [];
  /** Made of those when first asked for after a change. */
  #views: ReadonlyMap<string, View> | null = null;
  #devices: ReadonlyMap<string, Keys> | null = null;
  #version = 0;

  /** Rises with each change of who may ask, and of where it is served. */
  get version(): number {
    return this.#version;
  }

  set(row: DnsViewRow): void {
    this.#rows.set(row.id, row);
    this.#views = null;
    this.#version += 1;
  }

  remove(id: string): void {
    this.#rows.delete(id);
    this.#views = null;
    this.#version += 1;
  }

  setKeys(row: KeysRow): void {
    const keys = row.keys.flatMap(({ name, secret }) => tsigKeyOf(name, secret) ?? []);
    this.#keys.set(row.device, { device: row.device, view: row.view, sources: row.sources, keys });
    this.#devices = null;
  }

  removeKeys(device: string): void {
    this.#keys.delete(device);
    this.#devices = null;
  }

  serve(listeners: readonly DnsListener[]): void {
    this.#listeners = listeners;
    this.#views = null;
    this.#version += 1;
  }

  get(id: string): View | undefined {
    return this.#all().get(id);
  }

  all(): readonly View[] {
    return [...this.#all().values()];
  }

  /** The device that has an address in a view. */
  deviceAt(view: string, source: string): string | null {
    return this.#deviceRow(view, source)?.device ?? null;
  }

  /** By address and name together: a key is good from its device's addresses only, and theirs are all that is tried. */
  keyAt(view: string, source: string, name: NameKey): DeviceKey | null {
    const row = this.#deviceRow(view, source);
    const key = row?.keys.find((each) => each.name === name);
    return row === undefined || key === undefined ? null : { device: row.device, key };
  }

  #all(): ReadonlyMap<string, View> {
    this.#views ??= new Map(
      [...this.#rows].map(([id, row]) => {
        const servers = this.#listeners.filter(({ view }) => view === id).map(({ address }) => address);
        return [id, new View(row, servers)];
      }),
    );
    return this.#views;
  }

  #deviceRow(view: string, source: string): Keys | undefined {
    this.#devices ??= new Map(
      [...this.#keys.values()].flatMap((row) => row.sources.map((address) => [`${row.view} ${address}`, row])),
    );
    return this.#devices.get(`${view} ${source}`);
  }
}

/** By Node's HMAC, which is several times as fast as one in JavaScript. */
function tsigKeyOf(text: string, secret: Uint8Array): TsigKey | null {
  const name = parseName(text);
  const key = createSecretKey(secret);
  return name === null ? null : { name: name.key, mac: (data) => createHmac("sha256", key).update(data).digest() };
}
