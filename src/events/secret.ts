/** Material that must not be seen. Whatever prints it, prints that it is redacted; only `expose` gives it. */
export class Secret {
  readonly #bytes: Uint8Array;

  /** Keeps a copy of its own. */
  constructor(material: Uint8Array | string) {
    this.#bytes = typeof material === "string" ? new TextEncoder().encode(material) : Uint8Array.from(material);
  }

  expose(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  toJSON(): string {
    return "[redacted]";
  }

  toString(): string {
    return "[redacted]";
  }

  /** What `util.inspect`, and with it console and assertion messages, shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[redacted]";
  }
}
