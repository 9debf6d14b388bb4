import type { SecretStore } from "../../events/secrets.ts";
import type { Outcome, Target } from "../../reconcilers/contract.ts";
import type { SecretRow } from "../../reducers/select/rows.ts";

/** The sealed secrets of a data directory. It can only erase: what is missing nobody can make again. */
export function createSecretTarget(
  store: SecretStore,
  isNamed: (secretId: string) => boolean,
): Target<SecretRow, SecretRow> {
  return {
    name: "secrets",
    async observe() {
      const ids = await store.list(isNamed);
      return new Map(ids.map((secretId) => [secretId, { secretId }]));
    },
    async apply(plan) {
      const outcomes: Outcome[] = [];
      for (const { op, key } of plan) {
        if (op === "delete") {
          await store.erase(key);
          outcomes.push({ key, ok: true });
        } else {
          const message = `secret ${key} is not in the data directory; restore a backup that has it, or set it anew`;
          outcomes.push({ key, ok: false, error: { code: "NOT_FOUND", message, disposition: "terminal" } });
        }
      }
      return outcomes;
    },
  };
}
