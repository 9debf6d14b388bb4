import type { TsigRecord } from "./message.ts";
import { keyNamed, plainFields, sign, type TsigKey, type Verification, type Verified, verify } from "./tsig.ts";
import { macBefore } from "./tsig-octets.ts";

/** RFC 8945 §5.3.1: messages of a stream that may come unsigned before one is signed. */
const UNSIGNED_MAX = 99;

/** RFC 8945 §5.3.1: signs the messages of one answer over TCP, one after the other, each of them. */
export function signStream(request: Verified): (bytes: Uint8Array, nowSeconds: number) => Uint8Array {
  let last: Uint8Array | null = null;
  return (bytes, nowSeconds) => {
    const variables = last === null ? "all" : "timers";
    const signed = sign(bytes, request.key, macBefore(last ?? request.mac), plainFields(nowSeconds), variables);
    last = signed.mac;
    return signed.bytes;
  };
}

/** RFC 8945 §5.3.1, the other side: the verdict on all that came up to this message. "unsigned" must not be the last of them. */
export function verifyStream(request: {
  readonly key: TsigKey;
  readonly mac: Uint8Array;
}): (bytes: Uint8Array, record: TsigRecord | null, nowSeconds: number) => Verification | "too-many-unsigned" {
  let before = macBefore(request.mac);
  let unsigned = 0;
  let first = true;
  return (bytes, record, nowSeconds) => {
    if (record === null) {
      // The first must be signed, or its sender is anyone.
      if (first || unsigned === UNSIGNED_MAX) return "too-many-unsigned";
      unsigned += 1;
      before = joined(before, bytes);
      return { kind: "unsigned" };
    }
    const verdict = verify(bytes, record, keyNamed(request.key), nowSeconds, before, first ? "all" : "timers");
    if (verdict.kind === "verified") [before, unsigned, first] = [macBefore(verdict.mac), 0, false];
    return verdict;
  };
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
