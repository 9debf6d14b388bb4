import { PortreeveError } from "../../lib/errors.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import { ProgramError } from "./program.ts";

export const NOT_KEPT: ReconcileError = {
  code: "EINVAL",
  message: "WireGuard took it and does not show it: another program changed it, or its key is not one a peer can have",
  disposition: "transient",
};

export function reconcileError(error: unknown): ReconcileError {
  if (error instanceof PortreeveError) {
    const disposition = error.disposition === "transient" ? "transient" : "terminal";
    return { code: error.code, message: error.message, disposition };
  }
  if (!(error instanceof ProgramError)) throw error;
  return {
    code: error.code,
    message: `${error.message}; ${ADVICE[error.code] ?? "it is tried again"}`,
    disposition: "transient",
  };
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "install wireguard-tools, and wireguard-go where the kernel has no WireGuard",
  EPERM: "Portreeve needs root, or CAP_NET_ADMIN and /dev/net/tun",
  EADDRINUSE: "another program has this UDP port or interface name; set wireguard.listenPort or wireguard.interface",
  ENODEV: "the interface went away; it is made again",
};
