import { PortreeveError } from "../../lib/errors.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";

/** HAProxy cannot be had for a row. */
export class Refused extends Error {
  readonly reason: ReconcileError;

  constructor(reason: ReconcileError) {
    super(reason.message);
    this.reason = reason;
  }
}

/** It went away between a look and what was to be done, and is started again. */
export const GONE: ReconcileError = {
  code: "UNAVAILABLE",
  message: "HAProxy is not running; it is started again",
  disposition: "transient",
};

/** Tried again: somebody may install it. */
export const notInstalled = (why: string): ReconcileError => ({
  code: "SNI_UNAVAILABLE",
  message: why,
  disposition: "transient",
});

export const NOT_KEPT: ReconcileError = {
  code: "EIO",
  message: "HAProxy took it and does not show it: another program changed it",
  disposition: "transient",
};

export function reconcileError(error: unknown): ReconcileError {
  if (error instanceof Refused) return error.reason;
  if (error instanceof PortreeveError) {
    const disposition = error.disposition === "terminal" ? "terminal" : "transient";
    return { code: error.code, message: error.message, disposition };
  }
  return { code: "EIO", message: `HAProxy cannot be asked: ${String(error)}`, disposition: "transient" };
}
