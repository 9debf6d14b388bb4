import { randomUUID } from "node:crypto";
import type { Seq } from "./envelope.ts";
import { event } from "./index.ts";
import type { EventLog } from "./log.ts";

/** Whether nothing was written since `appendEpochReset`. */
export async function endsWithEpochReset(log: EventLog): Promise<boolean> {
  const { head, base } = log;
  if (head.seq === base.seq) return false;
  for await (const { event } of log.read(head.seq - 1)) return event.type === "epoch.reset";
  return false;
}

/** Promises were lost, or may have been: clients have to ask again (RFC 6887 §8.5). At the head of a log nobody has open. */
export async function appendEpochReset(log: EventLog, reason: string, notBefore: number): Promise<Seq> {
  const at = Math.max(Date.now(), notBefore);
  const reset = event("epoch.reset", { reason: reason.slice(0, 200) });
  const record = { at, source: "operator", requestId: randomUUID(), causedBy: null, event: reset };
  await log.append({ expectedHead: log.head.seq, records: [record], answers: [] });
  return log.head.seq;
}
