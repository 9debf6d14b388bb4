import type { PcpErrorName } from "./result.ts";

/** What a server does about bytes it cannot read: the error to answer with, or "drop" where RFC 6887 wants silence. */
export type PcpDecodeReason =
  | "drop"
  | Extract<PcpErrorName, "UNSUPP_VERSION" | "MALFORMED_REQUEST" | "UNSUPP_OPCODE" | "MALFORMED_OPTION">;

/** The only error that decoding lets out, whatever the bytes. */
export class PcpDecodeError extends Error {
  override readonly name = "PcpDecodeError";
  readonly reason: PcpDecodeReason;

  constructor(reason: PcpDecodeReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
