import { ImportError } from "./error.ts";
import type { ImportedDevice, ImportedKeys, Imported, ImportedPort, ImportedSubnet } from "./model.ts";

/** As many as a declaration may hold. */
const OBJECTS_MAX = 16_384;
const LABEL_MAX = 63;
const PORT_NAME_MAX = 64;

/** What has been read so far. Names become what a declaration takes, and each is there once. */
export class Collection {
  readonly #name: string;
  readonly #subnets = new Map<string, ImportedSubnet>();
  readonly #devices = new Map<string, ImportedDevice>();
  readonly #ports = new Map<string, ImportedPort>();
  readonly #keys = new Map<string, ImportedKeys>();
  readonly #notes: string[] = [];
  gatewayKey: string | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  note(sentence: string): void {
    this.#notes.push(sentence);
  }

  /** Gives the name it has from now on. */
  subnet(named: string, fields: Omit<ImportedSubnet, "name">): string {
    const name = unique(cleaned(named, LABEL_MAX) || "subnet", LABEL_MAX, (each) =>
      this.#subnets.has(each.toLowerCase()),
    );
    this.#subnets.set(name.toLowerCase(), { name, ...fields });
    bounded(this.#subnets);
    return name;
  }

  setDns(subnet: string, dns: ImportedSubnet["dns"]): void {
    const found = this.#subnets.get(subnet.toLowerCase());
    if (found !== undefined) this.#subnets.set(subnet.toLowerCase(), { ...found, dns });
  }

  device(named: string, fields: Omit<ImportedDevice, "name">, keys: ImportedKeys): string {
    const label = hostLabel(named) || hostLabel(`device-${fields.address}`);
    const name = unique(label, LABEL_MAX, (each) => this.#devices.has(each));
    if (name !== named) this.note(`${cleaned(named, LABEL_MAX) || fields.address} is called ${name} here`);
    this.#devices.set(name, { name, ...fields });
    bounded(this.#devices);
    this.#keys.set(name, keys);
    if (keys.presharedKey === null) {
      this.note(
        `${name} had no preshared key and gets one: it needs its new configuration (portreeve device config ${name})`,
      );
    }
    return name;
  }

  port(named: string, fields: Omit<ImportedPort, "name">): void {
    const wanted = cleaned(named, PORT_NAME_MAX) || fields.port;
    const name = unique(wanted, PORT_NAME_MAX, (each) => this.#ports.has(each));
    this.#ports.set(name, { name, ...fields });
    bounded(this.#ports);
  }

  end(): Imported {
    return {
      declaration: {
        name: this.#name,
        subnets: [...this.#subnets.values()],
        devices: [...this.#devices.values()],
        ports: [...this.#ports.values()],
      },
      keys: this.#keys,
      gatewayKey: this.gatewayKey,
      notes: this.#notes,
    };
  }
}

function bounded({ size }: { readonly size: number }): void {
  if (size > OBJECTS_MAX) throw new ImportError(`more than ${OBJECTS_MAX} of a kind`);
}

function unique(wanted: string, max: number, isTaken: (name: string) => boolean): string {
  for (let number = 1; ; number += 1) {
    const suffix = number === 1 ? "" : `-${number}`;
    const name = `${wanted.slice(0, max - suffix.length)}${suffix}`;
    if (!isTaken(name)) return name;
  }
}

/** Without what no name may have. */
export function cleaned(text: string, max: number): string {
  const plain = text.replaceAll(/\p{Cc}/gu, " ").trim();
  return plain.length <= max
    ? plain
    : plain
        .slice(0, max)
        .trim()
        .replace(/[\uD800-\uDBFF]$/, "");
}

/** RFC 1123 §2.1: "My Phone" is my-phone. */
export function hostLabel(text: string): string {
  const letters = text.slice(0, 256).normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
  return letters
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/^-/, "")
    .slice(0, LABEL_MAX)
    .replace(/-$/, "");
}
