import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { assert } from "../../lib/assert.ts";
import { readAddress, writeAddress } from "./address.ts";
import { HEADER_BYTES, OPCODE } from "./constants.ts";

/** RFC 6887 §11.1: the same layout asks (suggested) and answers (assigned). */
export interface MapFields {
  /** 24 hex digits. */
  readonly nonce: string;
  /** IANA protocol number; 0: all. */
  readonly protocol: number;
  /** 0: all. */
  readonly internalPort: number;
  readonly externalPort: number;
  readonly externalAddress: string;
}

/** RFC 6887 §12.1. */
export interface PeerFields extends MapFields {
  readonly remotePort: number;
  readonly remoteAddress: string;
}

export type PcpBody =
  | { readonly kind: "announce" }
  | ({ readonly kind: "map" } & MapFields)
  | ({ readonly kind: "peer" } & PeerFields);

const NONCE_BYTES = 12;
/** RFC 6887 §14.1, §11.1, §12.1: octets after the header. */
const BODY_BYTES: ReadonlyMap<number, number> = new Map([
  [OPCODE.announce, 0],
  [OPCODE.map, 36],
  [OPCODE.peer, 56],
]);

/** Octets of the header and the fields of this opcode; null for one that is not known here. */
export function messageBytesMin(opcode: number): number | null {
  const body = BODY_BYTES.get(opcode);
  return body === undefined ? null : HEADER_BYTES + body;
}

/** Only for a message of at least `messageBytesMin(opcode)` octets. */
export function readBody(opcode: number, bytes: Uint8Array, view: DataView): PcpBody {
  switch (opcode) {
    case OPCODE.announce:
      return { kind: "announce" };
    case OPCODE.map:
      return { kind: "map", ...readMapFields(bytes, view) };
    default:
      assert(opcode === OPCODE.peer, `no layout for opcode ${opcode}`);
      return {
        kind: "peer",
        ...readMapFields(bytes, view),
        remotePort: view.getUint16(60),
        remoteAddress: readAddress(view, 64),
      };
  }
}

export function writeBody(body: PcpBody, bytes: Uint8Array, view: DataView): void {
  if (body.kind === "announce") return;
  const nonce = hexToBytes(body.nonce);
  assert(nonce.length === NONCE_BYTES, "a nonce has 96 bits");
  bytes.set(nonce, 24);
  view.setUint8(36, body.protocol);
  view.setUint16(40, body.internalPort);
  view.setUint16(42, body.externalPort);
  writeAddress(view, 44, body.externalAddress);
  if (body.kind === "map") return;
  view.setUint16(60, body.remotePort);
  writeAddress(view, 64, body.remoteAddress);
}

function readMapFields(bytes: Uint8Array, view: DataView): MapFields {
  return {
    nonce: bytesToHex(bytes.subarray(24, 24 + NONCE_BYTES)),
    protocol: view.getUint8(36),
    internalPort: view.getUint16(40),
    externalPort: view.getUint16(42),
    externalAddress: readAddress(view, 44),
  };
}
