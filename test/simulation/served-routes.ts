import type { SniRow } from "../../src/lib/sni-row.ts";
import type { Outcome, Target } from "../../src/reconcilers/contract.ts";
import type { SniObservation } from "../../src/reconcilers/sni-routes.ts";
import type { Life } from "./life.ts";

/** HAProxy of the machine: it outlives the processes that tell it what to do, and no reboot. */
export class ServedRoutes {
  #rows = new Map<string, SniRow>();
  #isLost = false;

  end(): void {
    this.#rows = new Map();
    this.#isLost = true;
  }

  /** Rows by their keys, as `expectedRoutes` has them. */
  texts(): Map<string, string> {
    const text = (row: SniRow): string => ("toAddress" in row ? `${row.toAddress}:${row.toPort}` : "");
    return new Map([...this.#rows].map(([key, row]) => [key, text(row)]));
  }

  /** As one process has it. */
  of(life: Life): Target<SniRow, SniObservation> {
    return {
      name: "sni-routes",
      observe: async () => {
        await life.point();
        this.#isLost = false;
        const seen = (row: SniRow): SniObservation => (row.kind === "proxy" ? { ...row, current: true } : row);
        return new Map([...this.#rows].map(([key, row]) => [key, seen(row)]));
      },
      expected: (spec) => (spec.kind === "proxy" ? { ...spec, current: true } : spec),
      unchanged: () => !this.#isLost,
      apply: async (plan) => {
        const outcomes: Outcome[] = [];
        for (const change of plan) {
          // Each is a command of its own on its socket.
          await life.point();
          if (change.op === "delete") this.#rows.delete(change.key);
          else this.#rows.set(change.key, structuredClone(change.desired.spec));
          outcomes.push({ key: change.key, ok: true });
        }
        return outcomes;
      },
    };
  }
}
