/** A bug of ours. Never caught to continue: the process ends and the log is replayed. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Stays on in production. For our bugs only; what the world does wrong is a `PortreeveError`. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Makes a `switch` over a union fail to compile when a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
