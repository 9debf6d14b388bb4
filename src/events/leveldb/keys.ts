import { type Seq, seqHex } from "../envelope.ts";

/** The keys of the store: their order is the order of the records. */
export const eventKey = (seq: Seq): string => `e!${seqHex(seq)}`;
export const EVENT_KEY_MAX = "e!ffffffffffffff";
export const seqOfKey = (key: string): Seq => Number.parseInt(key.slice(2), 16);

export const GENESIS_KEY = "m!genesis";

export const answerKey = (requestId: string): string => `r!${requestId}`;
/** Past every request id: the quote is the byte after the exclamation mark. */
export const ANSWER_KEY_MAX = 'r"';
