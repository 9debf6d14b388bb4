import { GENESIS_HASH } from "../events/envelope.ts";
import type { EventLog } from "../events/log.ts";
import type { PortreeveError } from "../lib/errors.ts";

/** Stands in for a log that cannot be opened: whatever is asked of it is answered with why. */
export function unwritableLog(fault: PortreeveError): EventLog {
  const refuse = (): Promise<never> => Promise.reject(fault);
  return {
    instanceId: "unknown",
    head: { seq: 0, hash: GENESIS_HASH },
    append: refuse,
    read: () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) }),
    answerOf: refuse,
    close: () => Promise.resolve(),
  };
}
