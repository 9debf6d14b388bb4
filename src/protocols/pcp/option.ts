import { ADDRESS_BYTES, readAddress, writeAddress } from "./address.ts";
import { OPTION } from "./constants.ts";
import { PcpDecodeError } from "./error.ts";

/** RFC 6887 §7.3: code, reserved octet, length. */
const OPTION_HEADER_BYTES = 4;

/** An option as framed: the data without its padding. */
export interface RawOption {
  readonly code: number;
  readonly data: Uint8Array;
}

export type PcpOption =
  /** RFC 6887 §13.1: the mapping is for this host, not for the sender. */
  | { readonly kind: "third-party"; readonly address: string }
  /** RFC 6887 §13.2: rather an error than another external port. */
  | { readonly kind: "prefer-failure" }
  /** RFC 6887 §13.3: who may send in. Prefix length 0 clears, port 0 is any. */
  | {
      readonly kind: "filter";
      readonly prefixLength: number;
      readonly remotePort: number;
      readonly remoteAddress: string;
    }
  /** RFC 7753 §4.1. */
  | { readonly kind: "port-set"; readonly size: number; readonly firstInternalPort: number; readonly parity: boolean }
  /** Private use: the TLS server name that may share the external port. */
  | { readonly kind: "hostname"; readonly hostname: string }
  | { readonly kind: "opaque"; readonly code: number; readonly data: Uint8Array };

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const padded = (length: number): number => (length + 3) & ~3;

/**
 * The options from `offset` to the end, one at a time: RFC 6887 §7.3 has them processed in the order they appear, so
 * an error in an earlier one comes before a broken frame further on. Throws MALFORMED_OPTION at a broken frame.
 */
export function* walkOptions(bytes: Uint8Array, offset: number): Generator<RawOption, void> {
  const view = viewOf(bytes);
  let at = offset;
  while (at < bytes.length) {
    if (bytes.length - at < OPTION_HEADER_BYTES) {
      throw new PcpDecodeError("MALFORMED_OPTION", "less than an option's header is left over");
    }
    const start = at + OPTION_HEADER_BYTES;
    const length = view.getUint16(at + 2);
    if (start + padded(length) > bytes.length) {
      throw new PcpDecodeError("MALFORMED_OPTION", `option ${bytes[at]} is longer than the message`);
    }
    yield { code: bytes[at] as number, data: bytes.subarray(start, start + length) };
    at = start + padded(length);
  }
}

/** Throws MALFORMED_OPTION if the contents of an option we know are bad. An unknown one stays opaque. */
export function decodeOption({ code, data }: RawOption): PcpOption {
  const view = viewOf(data);
  switch (code) {
    case OPTION.thirdParty:
      requireLength("THIRD_PARTY", data, ADDRESS_BYTES);
      return { kind: "third-party", address: readAddress(view, 0) };
    case OPTION.preferFailure:
      requireLength("PREFER_FAILURE", data, 0);
      return { kind: "prefer-failure" };
    case OPTION.filter:
      return decodeFilter(data, view);
    case OPTION.portSet:
      requireLength("PORT_SET", data, 5);
      return {
        kind: "port-set",
        size: view.getUint16(0),
        firstInternalPort: view.getUint16(2),
        parity: (view.getUint8(4) & 1) === 1,
      };
    case OPTION.hostname:
      // Anyone may use a private code for anything: what is no host name is someone else's option.
      return isHostnameText(data)
        ? { kind: "hostname", hostname: String.fromCharCode(...data) }
        : { kind: "opaque", code, data };
    default:
      return { kind: "opaque", code, data };
  }
}

export function decodeOptions(bytes: Uint8Array, offset: number): PcpOption[] {
  return [...walkOptions(bytes, offset)].map(decodeOption);
}

/** Header, data and padding. */
export function encodeOption(option: PcpOption): Uint8Array {
  switch (option.kind) {
    case "third-party":
      return frame(OPTION.thirdParty, ADDRESS_BYTES, (view, at) => writeAddress(view, at, option.address));
    case "prefer-failure":
      return frame(OPTION.preferFailure, 0, () => undefined);
    case "filter":
      return frame(OPTION.filter, 4 + ADDRESS_BYTES, (view, at) => {
        view.setUint8(at + 1, option.prefixLength);
        view.setUint16(at + 2, option.remotePort);
        writeAddress(view, at + 4, option.remoteAddress);
      });
    case "port-set":
      return frame(OPTION.portSet, 5, (view, at) => {
        view.setUint16(at, option.size);
        view.setUint16(at + 2, option.firstInternalPort);
        view.setUint8(at + 4, option.parity ? 1 : 0);
      });
    case "hostname":
      return encodeOption({
        kind: "opaque",
        code: OPTION.hostname,
        data: Uint8Array.from(option.hostname, (character) => character.charCodeAt(0)),
      });
    case "opaque":
      return frame(option.code, option.data.length, (view, at) => {
        for (const [index, octet] of option.data.entries()) view.setUint8(at + index, octet);
      });
  }
}

function decodeFilter(data: Uint8Array, view: DataView): PcpOption {
  requireLength("FILTER", data, 4 + ADDRESS_BYTES);
  const prefixLength = view.getUint8(1);
  const remoteAddress = readAddress(view, 4);
  // RFC 6887 §13.3: the prefix counts from the start of the 128 bits, so that of an IPv4 peer is 96 to 128; 0 clears.
  const least = remoteAddress.includes(":") ? 0 : 96;
  if (prefixLength !== 0 && (prefixLength < least || prefixLength > 128)) {
    throw new PcpDecodeError("MALFORMED_OPTION", `FILTER has prefix length ${prefixLength} for ${remoteAddress}`);
  }
  return { kind: "filter", prefixLength, remotePort: view.getUint16(2), remoteAddress };
}

function requireLength(name: string, data: Uint8Array, length: number): void {
  if (data.length === length) return;
  throw new PcpDecodeError("MALFORMED_OPTION", `${name} has ${data.length} octets of data, not ${length}`);
}

/** Printable ASCII without spaces, as long as a host name can be (RFC 1035 §2.3.4). */
function isHostnameText(data: Uint8Array): boolean {
  return data.length > 0 && data.length <= 253 && data.every((octet) => octet > 0x20 && octet < 0x7f);
}

function frame(code: number, length: number, write: (view: DataView, at: number) => void): Uint8Array {
  const bytes = new Uint8Array(OPTION_HEADER_BYTES + padded(length));
  const view = viewOf(bytes);
  view.setUint8(0, code);
  view.setUint16(2, length);
  write(view, OPTION_HEADER_BYTES);
  return bytes;
}
