import { assert } from "../../lib/assert.ts";
import { readAddress, writeAddress } from "./address.ts";
import { messageBytesMin, type PcpBody, readBody, writeBody } from "./body.ts";
import { MESSAGE_BYTES_MAX, OPCODE, PCP_VERSION, RESPONSE_BIT, HEADER_BYTES } from "./constants.ts";
import { PcpDecodeError } from "./error.ts";
import { decodeOptions, encodeOption, type PcpOption } from "./option.ts";

/** RFC 6887 §7.1. */
export interface PcpRequestHeader {
  readonly opcode: number;
  /** Seconds asked for. */
  readonly lifetime: number;
  /** What the client takes for its own address. */
  readonly clientAddress: string;
}

export interface PcpRequest {
  readonly lifetime: number;
  readonly clientAddress: string;
  readonly body: PcpBody;
  readonly options: readonly PcpOption[];
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * The checks of RFC 6887 §8.2 that come before the client address is compared and the opcode looked at. Separate from
 * the rest because a server compares the address before it knows the opcode.
 */
export function decodeRequestHeader(bytes: Uint8Array): PcpRequestHeader {
  const [version, second] = bytes;
  if (version === undefined || second === undefined) throw new PcpDecodeError("drop", "less than 2 octets");
  if ((second & RESPONSE_BIT) !== 0) throw new PcpDecodeError("drop", "a response, not a request");
  if (version !== PCP_VERSION) throw new PcpDecodeError("UNSUPP_VERSION", `version ${version} is not supported`);
  if (bytes.length < HEADER_BYTES) throw new PcpDecodeError("drop", "shorter than a PCP header");
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new PcpDecodeError("MALFORMED_REQUEST", `${bytes.length} octets are more than ${MESSAGE_BYTES_MAX}`);
  }
  if (bytes.length % 4 !== 0) {
    throw new PcpDecodeError("MALFORMED_REQUEST", `${bytes.length} octets are not a multiple of 4`);
  }
  const view = viewOf(bytes);
  return { opcode: second, lifetime: view.getUint32(4), clientAddress: readAddress(view, 8) };
}

/** What follows the header, without the options: those are processed one by one (`walkOptions`). */
export function decodeRequestBody(opcode: number, bytes: Uint8Array): PcpBody {
  const least = messageBytesMin(opcode);
  if (least === null) throw new PcpDecodeError("UNSUPP_OPCODE", `opcode ${opcode} is not supported`);
  if (bytes.length < least) {
    throw new PcpDecodeError("MALFORMED_REQUEST", `${bytes.length} octets are too short for opcode ${opcode}`);
  }
  return readBody(opcode, bytes, viewOf(bytes));
}

/** A whole request. Throws nothing but `PcpDecodeError`, whatever the bytes. */
export function decodeRequest(bytes: Uint8Array): PcpRequest {
  const { opcode, lifetime, clientAddress } = decodeRequestHeader(bytes);
  const body = decodeRequestBody(opcode, bytes);
  return { lifetime, clientAddress, body, options: decodeOptions(bytes, messageBytesMin(opcode) as number) };
}

export function encodeRequest({ lifetime, clientAddress, body, options }: PcpRequest): Uint8Array {
  return encodeMessage(body, options, (view) => {
    view.setUint32(4, lifetime);
    writeAddress(view, 8, clientAddress);
  });
}

/** Version, opcode, body and options; the rest of the header is the caller's. */
export function encodeMessage(
  body: PcpBody,
  options: readonly PcpOption[],
  writeHeader: (view: DataView) => void,
): Uint8Array {
  const opcode = OPCODE[body.kind];
  const bodyEnd = messageBytesMin(opcode) as number;
  const encoded = options.map(encodeOption);
  const bytes = new Uint8Array(encoded.reduce((length, option) => length + option.length, bodyEnd));
  assert(bytes.length <= MESSAGE_BYTES_MAX, `a PCP message of ${bytes.length} octets`);
  const view = viewOf(bytes);
  view.setUint8(0, PCP_VERSION);
  view.setUint8(1, opcode);
  writeHeader(view);
  writeBody(body, bytes, view);
  let at = bodyEnd;
  for (const option of encoded) {
    bytes.set(option, at);
    at += option.length;
  }
  return bytes;
}
