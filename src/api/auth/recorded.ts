import type { ApiDeps } from "../deps.ts";
import { RequestProblem } from "../problem.ts";

/** Who comes without having shown who they are, and from where. */
export interface Visitor {
  readonly address: string;
  readonly userAgent: string;
}

/** What is no event, as it changes nothing or was refused: the log of requests says who tried. */
export async function recorded<T>(
  { clock, requestLog }: Pick<ApiDeps, "clock" | "requestLog">,
  { address }: Visitor,
  { request, done }: { readonly request: string; readonly done: string },
  work: () => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const entry = (problem: RequestProblem["problem"] | null) =>
    requestLog.add({
      at: clock.now(),
      protocol: "api",
      from: address,
      interface: null,
      request,
      decision: problem === null ? "answered" : "refused",
      code: problem?.code ?? null,
      message: problem?.detail ?? done,
      durationMs: performance.now() - started,
    });
  try {
    const result = await work();
    entry(null);
    return result;
  } catch (cause) {
    if (cause instanceof RequestProblem) entry(cause.problem);
    throw cause;
  }
}
