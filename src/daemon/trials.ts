import { Confirmations } from "../controller/confirmations.ts";
import type { Controller } from "../controller/controller.ts";
import { History } from "../controller/history.ts";
import type { Clock } from "../lib/clock.ts";
import type { OpenStore } from "./store.ts";

interface FaultLog {
  error(fields: object, message: string): void;
}

/** Takes back what was to be confirmed and was not; resolves when what is overdue is done, with what ends the watch. */
export async function watchConfirmations(
  controller: Controller,
  { log: eventLog, snapshots }: OpenStore,
  clock: Clock,
  log: FaultLog,
): Promise<() => Promise<void>> {
  // Tried again and again: each fault of each change is said once.
  const said = new Map<string, string>();
  const confirmations = new Confirmations({
    controller,
    past: new History(eventLog, snapshots),
    clock,
    onFault: (cause, id) => {
      const fault = String(cause);
      if (said.get(id) !== fault)
        log.error({ err: cause, id }, "a change that nobody confirmed could not be taken back");
      said.set(id, fault);
    },
  });
  await confirmations.start();
  return () => confirmations.close();
}
