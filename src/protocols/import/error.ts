/** The only error that reading another program's set-up lets out. Its message never repeats a value: it may be a key. */
export class ImportError extends Error {
  override readonly name = "ImportError";
}
