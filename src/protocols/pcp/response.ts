import { messageBytesMin, type PcpBody, readBody } from "./body.ts";
import { HEADER_BYTES, MESSAGE_BYTES_MAX, PCP_VERSION, RESPONSE_BIT } from "./constants.ts";
import { PcpDecodeError } from "./error.ts";
import { decodeOptions, type PcpOption } from "./option.ts";
import { encodeMessage } from "./request.ts";
import { PCP_RESULT, type PcpErrorName, wasParsed } from "./result.ts";

export interface PcpSuccess {
  /** Seconds granted; 0 for ANNOUNCE and after a delete. */
  readonly lifetime: number;
  /** Seconds since the server began with an empty table (RFC 6887 §8.5). */
  readonly epoch: number;
  readonly body: PcpBody;
  /** Only those that were asked for and processed: clients insist on exact lengths. */
  readonly options: readonly PcpOption[];
}

export interface PcpError {
  readonly result: PcpErrorName;
  /** Seconds the error will last. */
  readonly lifetime: number;
  readonly epoch: number;
}

/** A response as a client sees it. */
export interface PcpResponse {
  /** Another than 2 only with UNSUPP_VERSION; 0 is a server that speaks NAT-PMP alone (RFC 6886 §3.5). */
  readonly version: number;
  readonly opcode: number;
  readonly result: number;
  readonly lifetime: number;
  readonly epoch: number;
  /** Null for an opcode not known here and for an error reply that is too short to hold it. */
  readonly body: PcpBody | null;
  readonly options: readonly PcpOption[];
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function encodeSuccess({ lifetime, epoch, body, options }: PcpSuccess): Uint8Array {
  return encodeMessage(body, options, (view) => {
    view.setUint8(1, view.getUint8(1) | RESPONSE_BIT);
    view.setUint8(3, PCP_RESULT.SUCCESS);
    view.setUint32(4, lifetime);
    view.setUint32(8, epoch);
  });
}

/**
 * RFC 6887 §8.2: an error is the request sent back, cut at 1100 octets and padded to a multiple of 4, with our header.
 * `request` has at least 2 octets.
 */
export function encodeError(request: Uint8Array, { result, lifetime, epoch }: PcpError): Uint8Array {
  const copied = request.subarray(0, MESSAGE_BYTES_MAX);
  const bytes = new Uint8Array(Math.max(HEADER_BYTES, (copied.length + 3) & ~3));
  bytes.set(copied);
  const view = viewOf(bytes);
  view.setUint8(0, PCP_VERSION);
  view.setUint8(1, view.getUint8(1) | RESPONSE_BIT);
  view.setUint8(2, 0);
  view.setUint8(3, PCP_RESULT[result]);
  view.setUint32(4, lifetime);
  view.setUint32(8, epoch);
  // RFC 6887 §7.2: the end of the client address, already in place, stays only if the request was not parsed.
  if (wasParsed(result)) bytes.fill(0, 12, HEADER_BYTES);
  return bytes;
}

/** An error that nobody asked for, as of a mapping that cannot stay as it is (RFC 6887 §14.2): as to the request for it. */
export function encodeUnaskedError(body: PcpBody, options: readonly PcpOption[], error: PcpError): Uint8Array {
  return encodeError(
    encodeMessage(body, options, () => undefined),
    error,
  );
}

/**
 * The order of RFC 6887 §8.3. Throws nothing but `PcpDecodeError`, whose reason is "drop" for all that a client must
 * ignore. Whether the reply belongs to a request (source, nonce, ports) is the client's to compare.
 */
export function decodeResponse(bytes: Uint8Array): PcpResponse {
  if (bytes.length < 4) throw new PcpDecodeError("drop", "less than 4 octets");
  const view = viewOf(bytes);
  const version = view.getUint8(0);
  const opcode = view.getUint8(1) & ~RESPONSE_BIT;
  // RFC 6886 §3.5 draws its version error with the response bit clear, so this comes before that bit is required.
  if (version === 0) return natPmpOnly(view);
  if ((view.getUint8(1) & RESPONSE_BIT) === 0) throw new PcpDecodeError("drop", "a request, not a response");
  const result = view.getUint8(3);
  if (version !== PCP_VERSION && result !== PCP_RESULT.UNSUPP_VERSION) {
    throw new PcpDecodeError("drop", `version ${version} with result ${result}`);
  }
  if (bytes.length < HEADER_BYTES || bytes.length > MESSAGE_BYTES_MAX || bytes.length % 4 !== 0) {
    throw new PcpDecodeError("drop", `a response of ${bytes.length} octets`);
  }
  const header = { version, opcode, result, lifetime: view.getUint32(4), epoch: view.getUint32(8) };
  const least = messageBytesMin(opcode);
  const complete = least !== null && bytes.length >= least;
  if (result !== PCP_RESULT.SUCCESS) {
    // The options are the request's own, which may be the very thing that was wrong.
    return { ...header, body: complete ? readBody(opcode, bytes, view) : null, options: [] };
  }
  if (least === null) return { ...header, body: null, options: [] };
  if (!complete) throw new PcpDecodeError("drop", `${bytes.length} octets are too short for opcode ${opcode}`);
  return { ...header, body: readBody(opcode, bytes, view), options: decodeOptions(bytes, least) };
}

function natPmpOnly(view: DataView): PcpResponse {
  if (view.byteLength < 8 || view.getUint16(2) !== PCP_RESULT.UNSUPP_VERSION) {
    throw new PcpDecodeError("drop", "version 0, and not NAT-PMP's version error");
  }
  const opcode = view.getUint8(1) & ~RESPONSE_BIT;
  return { version: 0, opcode, result: 1, lifetime: 0, epoch: view.getUint32(4), body: null, options: [] };
}
