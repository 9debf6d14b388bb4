import pino from "pino";
import { exitOf } from "../cli/exit.ts";
import { PortreeveError } from "../lib/errors.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import { endAtOnce, endWith } from "./end-of-process.ts";

/** From SIGTERM to the end, whatever hangs. */
const STOP_MAX_MS = 4500;

/** Runs the controller in the foreground until SIGTERM or SIGINT; resolves with the exit code. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const destination = pino.destination({ dest: 2, sync: true });
  const timestamp = pino.stdTimeFunctions.isoTime;
  const log = pino({ level: options.loaded.config.log.level, timestamp, base: null }, destination);
  const announce = pino({ level: "info", timestamp, base: null }, destination);
  const daemon = new Daemon(options, log, announce);
  let overdue: NodeJS.Timeout | undefined;
  const signal = new Promise<string>((resolve) => {
    const stop = (name: string): void => {
      // From here on, also in the middle of a start that hangs.
      overdue ??= setTimeout(() => {
        announce.error({}, "something did not stop in time; what was acknowledged is durable all the same");
        endAtOnce(1);
      }, STOP_MAX_MS);
      resolve(name);
    };
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop(name));
  });
  try {
    await daemon.start();
  } catch (cause) {
    await daemon.stop().catch(() => {});
    if (!(cause instanceof PortreeveError)) throw cause;
    announce.error({ code: cause.code }, cause.message);
    return endWith(exitOf(cause.code));
  }
  log.info({ signal: await signal }, "stopping");
  await daemon.stop();
  clearTimeout(overdue);
  return endWith(daemon.safe ? 1 : 0);
}
