import type { Secret } from "../events/secret.ts";
import { selectSecrets } from "../reducers/select/secret-rows.ts";
import type { ApiDeps, DeviceKeys } from "./deps.ts";

type Deps = Pick<ApiDeps, "controller" | "secrets" | "log">;

/** The n-th id that a dry run names instead of that of a secret, which it does not make. */
const unsealed = (n: number): string => `s${n.toString(16).padStart(32, "0")}`;
export const NO_SECRET = unsealed(0);

/**
 * Lets `submit` name secrets that were sealed for it, and erases at once those that nothing names after it: these, if it
 * was refused, and those whose place they took. What a crash leaves is left to the reconciler of secrets.
 */
export async function sealing<T>(
  { controller, secrets, log }: Deps,
  sealed: readonly string[],
  submit: () => Promise<T>,
): Promise<T> {
  const select = selectSecrets();
  const before = select(controller.state);
  try {
    return await submit();
  } finally {
    const after = select(controller.state);
    for (const secretId of new Set([...sealed, ...(after.changedSince(before) ?? [])])) {
      if (secretId === NO_SECRET || after.get(secretId) !== undefined) continue;
      await secrets.erase(secretId).catch((cause: unknown) => {
        log.warn({ err: cause, secretId }, "a secret that is no longer needed could not be erased");
      });
    }
  }
}

/** Seals one secret for `submit`. */
export async function withSecret<T>(
  deps: Deps,
  kind: string,
  material: Secret,
  submit: (secretId: string) => Promise<T>,
): Promise<T> {
  const secretId = await deps.secrets.put(kind, material);
  return await sealing(deps, [secretId], async () => await submit(secretId));
}

/** The secrets among a device's keys. */
export function secretsOf({ privateKeySecret, presharedKeySecret }: DeviceKeys): string[] {
  return privateKeySecret === null ? [presharedKeySecret] : [privateKeySecret, presharedKeySecret];
}

/** Keys for the plan of the n-th device: others for each, and none that anybody could use. */
export function unmadeKeys(publicKey: string | null, n = 0): DeviceKeys {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(n);
  return {
    publicKey: publicKey ?? bytes.toString("base64"),
    privateKeySecret: publicKey === null ? unsealed(2 * n + 1) : null,
    presharedKeySecret: unsealed(2 * n + 2),
  };
}
