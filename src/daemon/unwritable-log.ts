import { EMPTY_HEAD, type EventLog } from "../events/log.ts";
import type { LogProblem } from "../api/deps.ts";
import { mendingStep } from "../cli/mending.ts";
import type { Seq } from "../events/envelope.ts";
import { LogFault } from "../events/log-fault.ts";
import type { PortreeveError } from "../lib/errors.ts";

/** What safe mode says: the fault, where it is, and what mends it. */
export function logProblem(fault: PortreeveError, head: Seq, dataDir: string): LogProblem {
  const { code, message } = fault;
  if (fault instanceof LogFault) return { code, seq: fault.seq, message, next: mendingStep(fault.remedy, dataDir) };
  // The lock was replaced under us: what another process may have written since, only a check can tell.
  const next = `stop whatever else uses ${dataDir}, check it with \`portreeve events verify --data-dir ${dataDir}\`, and start the daemon again`;
  return { code, seq: head + 1, message, next };
}

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
    checkLock: () => {
      throw fault;
    },
    close: () => Promise.resolve(),
  };
}
