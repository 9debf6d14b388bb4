import koffi from "koffi";

/** For whatever ends by itself once nothing is asked of it any more. */
const LINGER_MS = 300;

/**
 * Ends the process although a thread hangs in a call of the C library: `process.exit` would wait for that thread. Nothing
 * is flushed and nobody is told, so it is for when all that matters is closed.
 */
export function endAtOnce(exitCode: number): void {
  koffi.load(null).func("void _exit(int status)")(exitCode);
}

/** Gives the exit code back, and sees to it that the process ends with it. */
export function endWith(exitCode: number): number {
  setTimeout(() => endAtOnce(exitCode), LINGER_MS).unref();
  return exitCode;
}
