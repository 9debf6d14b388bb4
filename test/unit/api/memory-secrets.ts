import { randomBytes } from "node:crypto";
import type { Secret } from "../../../src/events/secret.ts";
import type { SecretStore } from "../../../src/events/secrets.ts";
import { PortreeveError } from "../../../src/lib/errors.ts";

export interface MemorySecrets extends SecretStore {
  readonly kept: Map<string, { readonly kind: string; readonly material: Secret }>;
}

/** Secrets that are gone with the test. */
export function memorySecrets(): MemorySecrets {
  const kept: MemorySecrets["kept"] = new Map();
  const put = (kind: string, material: Secret): string => {
    const secretId = `s${randomBytes(16).toString("hex")}`;
    kept.set(secretId, { kind, material });
    return secretId;
  };
  return {
    kept,
    put: (kind, material) => Promise.resolve(put(kind, material)),
    putAll: (secrets) => Promise.resolve(secrets.map(({ kind, material }) => put(kind, material))),
    open: (secretId) => {
      const found = kept.get(secretId);
      if (found !== undefined) return Promise.resolve(found.material);
      return Promise.reject(new PortreeveError("NOT_FOUND", `there is no secret ${secretId}`, "refused"));
    },
    list: () => Promise.resolve([...kept.keys()]),
    erase: (secretId) => {
      kept.delete(secretId);
      return Promise.resolve();
    },
  };
}
