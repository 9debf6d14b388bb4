import { EMPTY_HEAD } from "../events/chain.ts";
import type { EventLog } from "../events/log.ts";
import type { PortreeveError } from "../lib/errors.ts";

/** Stands in for a log that cannot be opened: whatever is asked of it is answered with why. */
export function unwritableLog(fault: PortreeveError): EventLog {
  const refuse = (): Promise<never> => Promise.reject(fault);
  return {
    instanceId: "unknown",
    head: EMPTY_HEAD,
    base: EMPTY_HEAD,
    append: refuse,
    read: () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) }),
    readableAfter: refuse,
    compact: refuse,
    answerOf: refuse,
    close: () => Promise.resolve(),
  };
}
