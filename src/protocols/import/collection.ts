import { ImportError } from "./error.ts";
import type { ImportedDevice, ImportedKeys, Imported, ImportedPort, ImportedSubnet } from "./model.ts";

/** As many as a declaration may hold. */
const OBJECTS_MAX = 16_384;
const LABEL_MAX = 63;
const PORT_NAME_MAX = 64;

/** What has been read so far. Names become what a declaration takes, and each is there once. */
export class Collection {
  readonly #name: string;
  readonly #subnetNames = new Names(LABEL_MAX);
  readonly #deviceNames = new Names(LABEL_MAX);
  readonly #portNames = new Names(PORT_NAME_MAX);
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
    const name = this.#subnetNames.take(cleaned(named, LABEL_MAX) || "subnet");
    this.#subnets.set(name.toLowerCase(), { name, ...fields });
    return name;
  }

  setDns(subnet: string, dns: ImportedSubnet["dns"]): void {
    const found = this.#subnets.get(subnet.toLowerCase());
    if (found !== undefined) this.#subnets.set(subnet.toLowerCase(), { ...found, dns });
  }

  device(named: string, fields: Omit<ImportedDevice, "name">, keys: ImportedKeys): string {
    const name = this.#deviceNames.take(hostLabel(named) || hostLabel(`device-${fields.address}`));
    if (name !== named) this.note(`${cleaned(named, LABEL_MAX) || fields.address} is called ${name} here`);
    this.#devices.set(name, { name, ...fields });
    this.#keys.set(name, keys);
    if (keys.presharedKey === null) {
      this.note(
        `${name} had no preshared key and gets one: it needs its new configuration (portreeve device config ${name})`,
      );
    }
    return name;
  }

  port(named: string, fields: Omit<ImportedPort, "name">): void {
    const name = this.#portNames.take(cleaned(named, PORT_NAME_MAX) || fields.port);
    this.#ports.set(name, { name, ...fields });
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

/** Names of one kind of object, compared without case. */
class Names {
  readonly #max: number;
  readonly #taken = new Set<string>();
  /** The number to try next, by what was wanted: of ten thousand of one name none begins at 1 again. */
  readonly #next = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  take(wanted: string): string {
    if (this.#taken.size >= OBJECTS_MAX) throw new ImportError(`more than ${OBJECTS_MAX} of a kind`);
    for (let number = this.#next.get(wanted.toLowerCase()) ?? 1; ; number += 1) {
      const suffix = number === 1 ? "" : `-${number}`;
      const name = `${wanted.slice(0, this.#max - suffix.length)}${suffix}`;
      if (this.#taken.has(name.toLowerCase())) continue;
      this.#taken.add(name.toLowerCase());
      this.#next.set(wanted.toLowerCase(), number + 1);
      return name;
    }
  }
}

/** Without what no name may have. */
export function cleaned(text: string, max: number): string {
  const plain = text
    .replaceAll(/\p{Cc}/gu, " ")
    .replaceAll(/[\p{Bidi_Control}\p{Cs}]/gu, "")
    .trim();
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
