/** What a server does about bytes it cannot read: "drop" where RFC 6886 wants silence, else the error to answer with. */
export type NatPmpDecodeReason = "drop" | "UNSUPPORTED_VERSION" | "UNSUPPORTED_OPCODE";

/** The only error that decoding lets out, whatever the bytes. */
export class NatPmpDecodeError extends Error {
  override readonly name = "NatPmpDecodeError";
  readonly reason: NatPmpDecodeReason;

  constructor(reason: NatPmpDecodeReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
