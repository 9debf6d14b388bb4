import type { Secret } from "../../events/secret.ts";
import { accessSecrets } from "../../reducers/account.ts";
import type { ApiDeps } from "../deps.ts";

/** Seals `material`, lets `submit` name it in an event, and erases what no account needs any more: it, if refused. */
export async function withSecret<T>(
  { controller, secrets, log }: Pick<ApiDeps, "controller" | "secrets" | "log">,
  kind: string,
  material: Secret,
  submit: (secretId: string) => Promise<T>,
): Promise<T> {
  const before = accessSecrets(controller.state.access);
  const secretId = await secrets.put(kind, material);
  try {
    return await submit(secretId);
  } finally {
    await eraseUnnamed({ controller, secrets, log }, [...before, secretId]);
  }
}

/** Erases those that the state does not name. */
export async function eraseUnnamed(
  { controller, secrets, log }: Pick<ApiDeps, "controller" | "secrets" | "log">,
  secretIds: readonly string[],
): Promise<void> {
  const named = new Set(accessSecrets(controller.state.access));
  for (const secretId of secretIds) {
    if (named.has(secretId)) continue;
    await secrets.erase(secretId).catch((cause: unknown) => {
      log.warn({ err: cause, secretId }, "a secret that is no longer needed could not be erased");
    });
  }
}

/** What a dry run names instead of a secret that it does not make. */
export const NO_SECRET = `s${"0".repeat(32)}`;

/** For a change that only takes away. */
export async function erasing<T>(
  deps: Pick<ApiDeps, "controller" | "secrets" | "log">,
  submit: () => Promise<T>,
): Promise<T> {
  const before = accessSecrets(deps.controller.state.access);
  try {
    return await submit();
  } finally {
    await eraseUnnamed(deps, before);
  }
}
