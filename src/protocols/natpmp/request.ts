import { NatPmpDecodeError } from "./error.ts";

export const NATPMP_VERSION = 0;
/** RFC 6886 §3.5: opcodes from here on are responses. */
export const NATPMP_RESPONSE = 128;
/** RFC 6886 §3.2, §3.3. */
export const NATPMP_OPCODE = { address: 0, udp: 1, tcp: 2 } as const;

const MAP_REQUEST_BYTES = 12;

export type NatPmpRequest =
  /** RFC 6886 §3.2: what is the external address? */
  | { readonly kind: "address" }
  /** RFC 6886 §3.3; lifetime 0 deletes (§3.4). */
  | {
      readonly kind: "map";
      readonly protocol: "udp" | "tcp";
      readonly internalPort: number;
      readonly suggestedPort: number;
      /** Seconds. */
      readonly lifetime: number;
    };

/**
 * Throws nothing but `NatPmpDecodeError`. Octets beyond the layout are ignored: RFC 6886 gives no rule against them
 * and no result code to refuse them with.
 */
export function decodeNatPmpRequest(bytes: Uint8Array): NatPmpRequest {
  const [version, opcode] = bytes;
  if (version === undefined || opcode === undefined) throw new NatPmpDecodeError("drop", "less than 2 octets");
  if (opcode >= NATPMP_RESPONSE) throw new NatPmpDecodeError("drop", "a response, not a request");
  if (version !== NATPMP_VERSION) {
    throw new NatPmpDecodeError("UNSUPPORTED_VERSION", `version ${version} is not supported`);
  }
  if (opcode === NATPMP_OPCODE.address) return { kind: "address" };
  if (opcode !== NATPMP_OPCODE.udp && opcode !== NATPMP_OPCODE.tcp) {
    throw new NatPmpDecodeError("UNSUPPORTED_OPCODE", `opcode ${opcode} is not supported`);
  }
  if (bytes.length < MAP_REQUEST_BYTES) throw new NatPmpDecodeError("drop", "too short for a mapping request");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind: "map",
    protocol: opcode === NATPMP_OPCODE.udp ? "udp" : "tcp",
    internalPort: view.getUint16(4),
    suggestedPort: view.getUint16(6),
    lifetime: view.getUint32(8),
  };
}

export function encodeNatPmpRequest(request: NatPmpRequest): Uint8Array {
  if (request.kind === "address") return Uint8Array.of(NATPMP_VERSION, NATPMP_OPCODE.address);
  const bytes = new Uint8Array(MAP_REQUEST_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, NATPMP_OPCODE[request.protocol]);
  view.setUint16(4, request.internalPort);
  view.setUint16(6, request.suggestedPort);
  view.setUint32(8, request.lifetime);
  return bytes;
}
