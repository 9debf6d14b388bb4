/** `api.tls` of the configuration. */
export type TlsSetting = "off" | "own-ca" | { readonly certificate: string; readonly key: string };

/** What a TLS listener shows: PEM. */
export interface Shown {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly certificate: string;
  /** SHA-256 as `openssl x509 -fingerprint -sha256` and browsers print it. */
  readonly fingerprint: string;
}

/** Where a listener's certificate comes from, and when there is a newer one. */
export interface ServerIdentity {
  readonly authority: Authority | null;
  /** What to show now. */
  readonly shown: Shown;
  /** A new one if the one that is shown has to go: it ends soon, its names or its file changed. Null: keep it. */
  renew(): Promise<Shown | null>;
}
