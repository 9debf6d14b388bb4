import type { Reader } from "../reader.ts";
import type { Writer } from "../writer.ts";
import type { FieldReader } from "./text.ts";

/** What there is to know about the RDATA of one type. */
export interface RdataCodec<Data> {
  /** How its value is written, with an example. */
  readonly form: string;
  /** From where the reader is to its `end`; what is left over is the caller's fault to find. */
  read(reader: Reader): Data;
  write(writer: Writer, data: Data): void;
  /** Presentation form, canonical: one space between fields. */
  text(data: Data): string;
  parse(fields: FieldReader): Data;
}
