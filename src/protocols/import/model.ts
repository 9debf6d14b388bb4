/** What another program had, as a declaration says it; what cannot be said there is in the notes. */
export interface Imported {
  readonly declaration: {
    readonly name: string;
    readonly subnets: readonly ImportedSubnet[];
    readonly devices: readonly ImportedDevice[];
    readonly ports: readonly ImportedPort[];
  };
  /** Base64, by device: what its configuration has already. */
  readonly keys: ReadonlyMap<string, ImportedKeys>;
  /** Base64: the key that its clients know their gateway by. */
  readonly gatewayKey: string | null;
  /** What is not imported, and what has to be set besides: sentences. */
  readonly notes: readonly string[];
}

export interface ImportedSubnet {
  readonly name: string;
  readonly prefix: string;
  readonly wan: string | null;
  readonly dns:
    | { readonly mode: "system" }
    | { readonly mode: "custom"; readonly servers: readonly string[] }
    | { readonly mode: "device"; readonly device: string };
}

export interface ImportedDevice {
  readonly name: string;
  readonly kind: "server" | "client";
  readonly subnet: string;
  readonly address: string;
  readonly publicKey: string;
  readonly ports: "auto" | "off";
  readonly dns: "auto" | "off";
  readonly wan: string | null;
  readonly profile: "starttunnel" | "full" | null;
}

export interface ImportedPort {
  readonly name: string;
  /** "8443/tcp". */
  readonly port: string;
  /** "10.59.7.2:443". */
  readonly to: string;
  readonly enabled: boolean;
  readonly wan: string | null;
}

export interface ImportedKeys {
  readonly privateKey: string | null;
  readonly presharedKey: string | null;
}

/** A file as it was read. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** X25519 is not a thing of a codec. Base64 to base64. */
export type PublicKeyOf = (privateKey: string) => string;
