import type { Header, TsigRecord } from "./message.ts";

/** `DROP`: not even a header, so there is nothing to answer to. `FORMERR`: the header is there, and says to whom. */
export type DnsDecodeCode = "DROP" | "FORMERR";

/** The only error that decoding lets out, whatever the bytes. */
export class DnsDecodeError extends Error {
  override readonly name = "DnsDecodeError";
  readonly code: DnsDecodeCode;
  /** Null exactly if the code is `DROP`. */
  readonly header: Header | null;
  /** Where only RDATA is wrong the signature is found, and over the octets it can be right: then the answer is signed too. */
  readonly tsig: TsigRecord | null;

  constructor(header: Header | null, message: string, tsig: TsigRecord | null = null) {
    super(message);
    this.code = header === null ? "DROP" : "FORMERR";
    this.header = header;
    this.tsig = tsig;
  }
}
