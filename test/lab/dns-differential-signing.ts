import { formatName } from "../../src/lib/domain-name.ts";
import { plainFields, sign, type TsigKey, tsigKey } from "../../src/protocols/dns/tsig.ts";
import { HMAC_SHA256, withRecord } from "../../src/protocols/dns/tsig-octets.ts";
import { name } from "../unit/protocols/dns/octets.ts";
import type { Exchange } from "./dns-differential-exchanges.ts";

export interface SharedKey {
  readonly keyName: string;
  /** Base64. */
  readonly secret: string;
}

export const keyOf = ({ keyName, secret }: SharedKey): TsigKey =>
  tsigKey(name(keyName).key, Buffer.from(secret, "base64"));

const NOTHING = new Uint8Array();

export interface Asked {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
}

/** The request as it goes out, in one of the ways to sign it or to get that wrong. */
export function signed({ bytes, signing }: Exchange, key: TsigKey, now: number): Asked {
  if (signing === "none") return { bytes, mac: NOTHING };
  if (signing === "key") return sign(bytes, key, NOTHING, plainFields(now));
  const fields = plainFields(now);
  const right = sign(bytes, key, NOTHING, fields);
  const names = { keyName: name(formatName(key.name)), algorithm: HMAC_SHA256 };
  const other = Uint8Array.from(right.bytes);
  switch (signing.fault) {
    case "time": {
      const times = { ...fields, timeSigned: now + signing.offset, fudge: signing.fudge };
      return sign(bytes, key, NOTHING, times);
    }
    case "mac length": {
      const mac = Uint8Array.from({ length: signing.octets }, (_, index) => right.mac[index] ?? 0);
      return { bytes: withRecord(bytes, names, fields, mac), mac };
    }
    case "key name":
      return {
        ...right,
        bytes: withRecord(bytes, { ...names, keyName: name("another.home.arpa") }, fields, right.mac),
      };
    case "algorithm":
      return { ...right, bytes: withRecord(bytes, { ...names, algorithm: name("hmac-sha512") }, fields, right.mac) };
    case "upper case": {
      const upper = { keyName: name(formatName(key.name).toUpperCase()), algorithm: name("HMAC-SHA256") };
      return { ...right, bytes: withRecord(bytes, upper, fields, right.mac) };
    }
    case "mac":
      return {
        ...right,
        bytes: withRecord(
          bytes,
          names,
          fields,
          right.mac.map((octet) => octet ^ 1),
        ),
      };
    case "twice":
      return { ...right, bytes: withRecord(right.bytes, names, fields, right.mac) };
    case "original id":
      other[0] = (other[0] as number) ^ 0xff;
      return { ...right, bytes: other };
    // RFC 8945 §5.3.2 has them for answers; in a request they are signed and mean nothing.
    case "error fields":
      return sign(bytes, key, NOTHING, { ...fields, error: 18, otherData: Uint8Array.of(1, 2, 3, 4, 5, 6) });
    case "ttl":
      // Owner, type, class: then the TTL.
      other[bytes.length + key.name.length + 7] = 1;
      return { ...right, bytes: other };
  }
}
