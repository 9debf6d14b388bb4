import { assert } from "../../lib/assert.ts";
import { formatIpv4, parseIpv4 } from "../../lib/ip.ts";
import { NatPmpDecodeError } from "./error.ts";
import { NATPMP_OPCODE, NATPMP_RESPONSE, NATPMP_VERSION } from "./request.ts";

/** RFC 6886 §3.5. */
export const NATPMP_RESULT = {
  SUCCESS: 0,
  UNSUPPORTED_VERSION: 1,
  NOT_AUTHORIZED: 2,
  NETWORK_FAILURE: 3,
  OUT_OF_RESOURCES: 4,
  UNSUPPORTED_OPCODE: 5,
} as const;

export type NatPmpResultName = keyof typeof NATPMP_RESULT;

interface Head {
  readonly result: number;
  /** Seconds since the server began with an empty table (RFC 6886 §3.6). */
  readonly epoch: number;
}

export type NatPmpResponse =
  /** RFC 6886 §3.2; 0.0.0.0 with a result that is not success. */
  | (Head & { readonly kind: "address"; readonly address: string })
  /** RFC 6886 §3.3. */
  | (Head & {
      readonly kind: "map";
      readonly protocol: "udp" | "tcp";
      readonly internalPort: number;
      readonly externalPort: number;
      readonly lifetime: number;
    })
  /** RFC 6886 §3.5: the version or the opcode was refused. */
  | (Head & { readonly kind: "unsupported"; readonly opcode: number });

const ADDRESS_BYTES = 12;
const MAP_BYTES = 16;
const ERROR_BYTES = 8;
/** RFC 6886 names no largest message; PCP's, on the same port, keeps a reply from being fragmented. */
const COPIED_BYTES_MAX = 1100;

export function encodeNatPmpAddress(result: NatPmpResultName, epoch: number, address: string): Uint8Array {
  const value = parseIpv4(address);
  assert(value !== null, `not an IPv4 address: ${address}`);
  const { bytes, view } = begin(ADDRESS_BYTES, NATPMP_RESPONSE + NATPMP_OPCODE.address, result, epoch);
  view.setUint32(8, value);
  return bytes;
}

export function encodeNatPmpMap(
  result: NatPmpResultName,
  epoch: number,
  map: {
    readonly protocol: "udp" | "tcp";
    readonly internalPort: number;
    readonly externalPort: number;
    readonly lifetime: number;
  },
): Uint8Array {
  const { bytes, view } = begin(MAP_BYTES, NATPMP_RESPONSE + NATPMP_OPCODE[map.protocol], result, epoch);
  view.setUint16(8, map.internalPort);
  view.setUint16(10, map.externalPort);
  view.setUint32(12, map.lifetime);
  return bytes;
}

/** RFC 6886 §3.5 draws this reply with opcode 0, without the response bit. */
export function encodeNatPmpVersionError(epoch: number): Uint8Array {
  return begin(ERROR_BYTES, 0, "UNSUPPORTED_VERSION", epoch).bytes;
}

/**
 * RFC 6886 §3.5: the request itself with its top opcode bit and the result set. One too short to have anything where
 * replies carry the epoch gets it appended.
 */
export function encodeNatPmpOpcodeError(request: Uint8Array, epoch: number): Uint8Array {
  const copied = request.subarray(0, COPIED_BYTES_MAX);
  const bytes = new Uint8Array(Math.max(ERROR_BYTES, copied.length));
  bytes.set(copied);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, view.getUint8(1) | NATPMP_RESPONSE);
  view.setUint16(2, NATPMP_RESULT.UNSUPPORTED_OPCODE);
  if (request.length <= 4) view.setUint32(4, epoch);
  return bytes;
}

/** Throws nothing but `NatPmpDecodeError`, with reason "drop". Lengths are exact, as clients check them. */
export function decodeNatPmpResponse(bytes: Uint8Array): NatPmpResponse {
  if (bytes.length < ERROR_BYTES) throw new NatPmpDecodeError("drop", "less than 8 octets");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== NATPMP_VERSION) throw new NatPmpDecodeError("drop", "not version 0");
  const opcode = view.getUint8(1);
  const head = { result: view.getUint16(2), epoch: view.getUint32(4) };
  if (head.result === NATPMP_RESULT.UNSUPPORTED_VERSION || head.result === NATPMP_RESULT.UNSUPPORTED_OPCODE) {
    return { kind: "unsupported", opcode: opcode & ~NATPMP_RESPONSE, ...head };
  }
  switch (opcode) {
    case NATPMP_RESPONSE + NATPMP_OPCODE.address:
      requireLength(bytes, ADDRESS_BYTES);
      return { kind: "address", ...head, address: formatIpv4(view.getUint32(8)) };
    case NATPMP_RESPONSE + NATPMP_OPCODE.udp:
    case NATPMP_RESPONSE + NATPMP_OPCODE.tcp:
      requireLength(bytes, MAP_BYTES);
      return {
        kind: "map",
        ...head,
        protocol: opcode === NATPMP_RESPONSE + NATPMP_OPCODE.udp ? "udp" : "tcp",
        internalPort: view.getUint16(8),
        externalPort: view.getUint16(10),
        lifetime: view.getUint32(12),
      };
    default:
      throw new NatPmpDecodeError("drop", `opcode ${opcode} is no response known here`);
  }
}

function requireLength(bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new NatPmpDecodeError("drop", `${bytes.length} octets, not ${length}`);
}

function begin(
  length: number,
  opcode: number,
  result: NatPmpResultName,
  epoch: number,
): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, opcode);
  view.setUint16(2, NATPMP_RESULT[result]);
  view.setUint32(4, epoch);
  return { bytes, view };
}
