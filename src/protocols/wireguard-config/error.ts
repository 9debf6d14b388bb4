/** The only error that reading a configuration lets out. Its message never repeats a value: it may be a key. */
export class WireguardConfigError extends Error {
  override readonly name = "WireguardConfigError";
  /** Counted from 1; 0 when it is about the whole text. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(line === 0 ? message : `line ${line}: ${message}`);
    this.line = line;
  }
}
