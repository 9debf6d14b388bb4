/** The thread that talks to the kernel: its calls block, and a listing's parsing would stop the main loop. */
import { parentPort } from "node:worker_threads";
import { assert } from "../../lib/assert.ts";
import { type ErrorCode, PortreeveError } from "../../lib/errors.ts";
import { Executor } from "./executor.ts";
import type { CallMessage, ReplyMessage, TableObservation } from "./messages.ts";
import { openNetfilter } from "./netfilter.ts";
import { NetlinkError } from "./netlink-socket.ts";
import { openNft } from "./nft-library.ts";

/** Everything of ours in the kernel has a name that begins so. */
const PREFIX = "portreeve";

assert(parentPort !== null, "runs as a worker thread only");
const port = parentPort;
/** How long a peer that was already sending waits at most for a new forward, beyond the transaction. */
const LATE_FLOWS_MS = 50;
const LATE_FLOWS_RETRY_MS = 1000;
let lateFlows: NodeJS.Timeout | null = null;
const executor = new Executor(openNft(), openNetfilter(), PREFIX);

port.on("message", (message: CallMessage | "close") => {
  if (message === "close") {
    if (lateFlows !== null) clearTimeout(lateFlows);
    executor.close();
    port.close();
    return;
  }
  const reply = answer(message);
  port.postMessage(reply, transferred(message, reply));
  if (executor.hasLateFlows) lateFlows ??= setTimeout(endLateFlows, LATE_FLOWS_MS);
});

function endLateFlows(): void {
  lateFlows = null;
  executor.endLateFlows();
  if (executor.hasLateFlows) lateFlows = setTimeout(endLateFlows, LATE_FLOWS_RETRY_MS);
}

/** A listing's elements change hands instead of being copied. */
function transferred({ name }: CallMessage, reply: ReplyMessage): ArrayBuffer[] {
  if (name !== "observe" || !reply.ok || reply.reply === null) return [];
  return [(reply.reply as TableObservation).elements.buffer as ArrayBuffer];
}

function answer({ id, name, request }: CallMessage): ReplyMessage {
  try {
    return { id, ok: true, reply: executor.call(name, request as never) };
  } catch (error) {
    const code = codeOf(error);
    const transient = !(error instanceof PortreeveError) || error.disposition === "transient";
    return { id, ok: false, code, message: error instanceof Error ? error.message : String(error), transient };
  }
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof PortreeveError) return error.code;
  if (error instanceof NetlinkError) return error.code === "EPERM" ? "PERMISSION" : "UNAVAILABLE";
  return "INTERNAL";
}
