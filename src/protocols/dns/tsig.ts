import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { type DomainName, formatName, type NameKey } from "../../lib/domain-name.ts";
import { TSIG_ERROR, type TsigErrorName } from "./constants.ts";
import type { TsigRecord } from "./message.ts";
import {
  digestInput,
  digestOf,
  HMAC_SHA256,
  MAC_OCTETS,
  macBefore,
  type TsigFields,
  u48,
  type Variables,
  withRecord,
} from "./tsig-octets.ts";

/** RFC 8945 §5.2.2.1: half of the hash, and never less than 10. */
const MAC_OCTETS_MIN = 16;
/** RFC 8945 §10 recommends it, and all clients send it; a longer one is not honoured. */
export const FUDGE_SECONDS = 300;
/** Who signs: the secret stays with whoever made it, and so does the choice of the HMAC's implementation. */
export interface TsigKey {
  readonly name: NameKey;
  /** HMAC-SHA256 of the octets. */
  readonly mac: (data: Uint8Array) => Uint8Array;
}

export function tsigKey(name: NameKey, secret: Uint8Array): TsigKey {
  const keyed = hmac.create(sha256, secret);
  return { name, mac: (data) => keyed.clone().update(data).digest() };
}

/** What was verified, as much of it as a signed answer needs, and what makes a repetition known. */
export interface Verified {
  readonly kind: "verified";
  readonly key: TsigKey;
  readonly mac: Uint8Array;
  readonly timeSigned: number;
  readonly fudge: number;
}

export interface Failed {
  readonly kind: "failed";
  /** FORMERR has no TSIG record in its answer; with the others the rcode is NOTAUTH. */
  readonly error: TsigErrorName | "FORMERR";
  /** For the log: what was wrong, and what the sender should change. */
  readonly reason: string;
  readonly record: TsigRecord;
  /** Who signs the answer: RFC 8945 §5.3.2, only if the MAC was right. */
  readonly key: TsigKey | null;
}

/** There is no default: whoever has one of these has looked at it (CVE-2026-35579 was a state that meant "no error" unless told otherwise). */
export type Verification = { readonly kind: "unsigned" } | Verified | Failed;

/**
 * RFC 8945 §5.2, in its order: key, MAC, time, truncation. `bytes` are as they came; `keyFor` gives the key that this sender
 * has by this name.
 */
export function verifyRequest(
  bytes: Uint8Array,
  record: TsigRecord | null,
  keyFor: (name: NameKey) => TsigKey | null,
  nowSeconds: number,
): Verification {
  return verify(bytes, record, keyFor, nowSeconds, NOTHING);
}

const NOTHING = new Uint8Array();

export function verify(
  bytes: Uint8Array,
  record: TsigRecord | null,
  keyFor: (name: NameKey) => TsigKey | null,
  nowSeconds: number,
  before: Uint8Array,
  variables: Variables = "all",
): Verification {
  if (record === null) return { kind: "unsigned" };
  const failed = (error: Failed["error"], reason: string, key: TsigKey | null = null): Failed => {
    return { kind: "failed", error, reason, record, key };
  };
  const key = keyFor(record.keyName.key);
  if (key === null)
    return failed("BADKEY", `no key of the name ${formatName(record.keyName)} is known for this sender`);
  if (record.algorithm.key !== HMAC_SHA256.key) {
    const algorithm = formatName(record.algorithm.key);
    return failed("BADKEY", `the key ${formatName(key.name)} is known, but not with ${algorithm}: set hmac-sha256`);
  }
  const { mac } = record;
  if (mac.length === 0) return failed("BADSIG", "the signature is empty");
  if (mac.length > MAC_OCTETS || mac.length < MAC_OCTETS_MIN) return failed("FORMERR", `a MAC of ${mac.length} octets`);
  if (record.ttl !== 0) return failed("BADSIG", "the TTL of the TSIG record is not 0");
  const expected = key.mac(digestInput(bytes, record, before, variables));
  if (!sameMac(mac, expected)) return failed("BADSIG", `the signature is not that of the key ${formatName(key.name)}`);
  if (Math.abs(nowSeconds - record.timeSigned) > Math.min(record.fudge, FUDGE_SECONDS)) {
    const off = record.timeSigned - nowSeconds;
    return failed("BADTIME", `the sender's clock is ${Math.abs(off)} s ${off < 0 ? "behind" : "ahead"}`, key);
  }
  if (mac.length < MAC_OCTETS) return failed("BADTRUNC", `a MAC cut to ${mac.length} octets`, key);
  return { kind: "verified", key, mac, timeSigned: record.timeSigned, fudge: record.fudge };
}

/** In a time that does not say how much of it is the same. The lengths are no secret. */
function sameMac(mac: Uint8Array, expected: Uint8Array): boolean {
  let difference = 0;
  for (const [index, octet] of mac.entries()) difference |= octet ^ (expected[index] as number);
  return difference === 0;
}

/** Octets a signature by this key adds to a message: what to leave free for it. */
export function tsigOctets(keyName: NameKey): number {
  return keyName.length + HMAC_SHA256.wire.length + 26 + MAC_OCTETS;
}

interface Signed {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
}

/** `before`: what goes into the digest first. */
export function sign(
  bytes: Uint8Array,
  key: TsigKey,
  before: Uint8Array,
  fields: TsigFields,
  variables: Variables = "all",
): Signed {
  const mac = key.mac(digestOf(before, bytes, key.name, fields, variables));
  const keyName: DomainName = { wire: key.name, key: key.name };
  return { bytes: withRecord(bytes, { keyName, algorithm: HMAC_SHA256 }, fields, mac), mac };
}

export const plainFields = (timeSigned: number): TsigFields => ({
  timeSigned,
  fudge: FUDGE_SECONDS,
  error: 0,
  otherData: NOTHING,
});

/** RFC 8945 §5.3. `bytes` are the whole answer, with the ID of the request. */
export function signResponse(bytes: Uint8Array, request: Verified, nowSeconds: number): Uint8Array {
  return sign(bytes, request.key, macBefore(request.mac), plainFields(nowSeconds)).bytes;
}

/**
 * RFC 8945 §5.3.2: `bytes` are the whole answer, which says NOTAUTH. What is wrong with the time or the length of a MAC that is
 * right is told under signature; the rest is not, since whoever asked has not shown that he knows the key.
 */
export function signFailure(bytes: Uint8Array, failed: Failed, nowSeconds: number): Uint8Array {
  const { error, key, record } = failed;
  if (error === "FORMERR") return bytes;
  const badTime = error === "BADTIME";
  const fields: TsigFields = {
    // §5.2.3: the client's own, so that the answer is in its time.
    timeSigned: badTime ? record.timeSigned : nowSeconds,
    fudge: badTime ? record.fudge : FUDGE_SECONDS,
    error: TSIG_ERROR[error],
    otherData: badTime ? u48(nowSeconds) : NOTHING,
  };
  if (key === null) return withRecord(bytes, record, fields, NOTHING);
  return sign(bytes, key, macBefore(record.mac), fields).bytes;
}

/** A request of our own, and the MAC its answer is verified with. */
export function signRequest(bytes: Uint8Array, key: TsigKey, nowSeconds: number): Signed {
  return sign(bytes, key, NOTHING, plainFields(nowSeconds));
}

/** RFC 8945 §5.4. An answer that is not verified is nobody's, and the right one may still come. */
export function verifyResponse(
  bytes: Uint8Array,
  record: TsigRecord | null,
  request: { readonly key: TsigKey; readonly mac: Uint8Array },
  nowSeconds: number,
): Verification {
  return verify(bytes, record, keyNamed(request.key), nowSeconds, macBefore(request.mac));
}

export const keyNamed = (key: TsigKey) => (name: NameKey) => (name === key.name ? key : null);
