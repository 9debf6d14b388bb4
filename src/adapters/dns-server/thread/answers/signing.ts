import type { NameKey } from "../../../../lib/domain-name.ts";
import { HEADER_OCTETS } from "../../../../protocols/dns/constants.ts";
import type { TsigRecord } from "../../../../protocols/dns/message.ts";
import {
  type Failed,
  signFailure,
  signResponse,
  tsigOctets,
  type Verified,
  verifyRequest,
} from "../../../../protocols/dns/tsig.ts";
import { UPDATE_KEY_NAME } from "../../../../protocols/dns/tsig-key.ts";
import { signStream } from "../../../../protocols/dns/tsig-stream.ts";
import type { DeviceKey } from "../zones/views.ts";

/** Whether a message is signed, and by whom. There is no default, and every transport asks here. */
export type Signing =
  | { readonly kind: "none" }
  | VerifiedSigning
  | {
      readonly kind: "failed";
      readonly tsig: TsigRecord;
      readonly why: string;
      readonly rcode: "NOTAUTH" | "FORMERR";
      /** Of the whole answer. */
      answer(reply: Uint8Array): Uint8Array;
    };

export interface VerifiedSigning {
  readonly kind: "verified";
  readonly device: string;
  /** The same only for a repetition. */
  readonly signature: string;
  readonly timeSigned: number;
  /** With the key that StartOS makes of the preshared key. */
  readonly asStartos: boolean;
  /** Octets that signing adds. */
  readonly room: number;
  /** The message without its signature. */
  readonly unsigned: Uint8Array;
  sign(reply: Uint8Array): Uint8Array;
  /** The messages of a transfer, in order. */
  signAll(replies: readonly Uint8Array[]): Uint8Array[];
  /** Right, and too old to be carried out: as for a clock that is wrong. `reply` says NOTAUTH. */
  signStale(reply: Uint8Array): Uint8Array;
}

export function signingOf(
  bytes: Uint8Array,
  tsig: TsigRecord | null,
  keyAt: (name: NameKey) => DeviceKey | null,
  nowSeconds: number,
): Signing {
  let device = "";
  const keyFor = (name: NameKey): DeviceKey["key"] | null => {
    const found = keyAt(name);
    device = found?.device ?? "";
    return found?.key ?? null;
  };
  const verdict = verifyRequest(bytes, tsig, keyFor, nowSeconds);
  switch (verdict.kind) {
    case "unsigned":
      return { kind: "none" };
    case "failed":
      return {
        kind: "failed",
        tsig: verdict.record,
        why: verdict.reason,
        rcode: verdict.error === "FORMERR" ? "FORMERR" : "NOTAUTH",
        answer: (reply) => signFailure(reply, verdict, nowSeconds),
      };
    case "verified":
      return verified(verdict, device, bytes, tsig as TsigRecord, nowSeconds);
  }
}

function verified(
  request: Verified,
  device: string,
  bytes: Uint8Array,
  record: TsigRecord,
  nowSeconds: number,
): VerifiedSigning {
  const stale: Failed = {
    kind: "failed",
    error: "BADTIME",
    reason: "it may be a repetition",
    record,
    key: request.key,
  };
  return {
    kind: "verified",
    device,
    signature: `${Buffer.from(request.mac).toString("hex")} ${request.key.name}`,
    timeSigned: request.timeSigned,
    asStartos: request.key.name === UPDATE_KEY_NAME.key,
    room: tsigOctets(request.key.name),
    get unsigned() {
      return withoutRecord(bytes, record);
    },
    sign: (reply) => signResponse(reply, request, nowSeconds),
    signAll: (replies) => {
      const sign = signStream(request);
      return replies.map((reply) => sign(reply, nowSeconds));
    },
    signStale: (reply) => signFailure(reply, stale, nowSeconds),
  };
}

function withoutRecord(bytes: Uint8Array, { offset }: TsigRecord): Uint8Array {
  const unsigned = Uint8Array.from(bytes.subarray(0, offset));
  const view = new DataView(unsigned.buffer);
  view.setUint16(HEADER_OCTETS - 2, view.getUint16(HEADER_OCTETS - 2) - 1);
  return unsigned;
}
