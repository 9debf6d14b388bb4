import type { ControllerPort } from "../controller/port.ts";
import { RequestProblem } from "./problem.ts";

/** A caller waits no longer than a promise does. */
const WAIT_MAX_MS = 5000;

/** Resolves when the state has reached `seq` and every reconciler that a promise hangs on has tried it. */
export async function waitForSeq(controller: ControllerPort, seq: number): Promise<void> {
  try {
    await controller.settled(seq, AbortSignal.timeout(WAIT_MAX_MS));
  } catch {
    const at = controller.state.seq;
    const message = at < seq ? `the log is at ${at}, not yet at ${seq}` : `record ${seq} is not effective yet`;
    throw new RequestProblem({ code: "NOT_SETTLED", message: `${message}; ask again`, retryAfter: 1 });
  }
}
