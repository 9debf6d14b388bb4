import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { type DomainName, formatName, parseName } from "../../lib/domain-name.ts";

/** The reference's: every device has the key of this name, and its address says whose it is. */
export const UPDATE_KEY_NAME = parseName("startos-dns-update") as DomainName;
const UPDATE_KEY_INFO = "startos-dns-update-v1";
/** With a space and the key's name after it: one preshared key never gives the same octets for two names. */
const DEVICE_KEY_INFO = "portreeve-dns-update-v1";
const SECRET_OCTETS = 32;

export interface DerivedKey {
  readonly name: DomainName;
  readonly secret: Uint8Array;
}

/** What a StartOS device signs with. Null: the device has no preshared key, so there is nothing to derive one from. */
export function updateKeyOf(psk: Uint8Array | null): DerivedKey | null {
  return derived(psk, UPDATE_KEY_NAME, UPDATE_KEY_INFO);
}

/** The device's key by its own name, for clients that are told a name and a secret. */
export function deviceKeyOf(psk: Uint8Array | null, name: DomainName): DerivedKey | null {
  return derived(psk, name, `${DEVICE_KEY_INFO} ${formatName(name.key)}`);
}

/** RFC 5869. WireGuard takes 32 zero octets for no preshared key; what is derived from them everybody knows. */
function derived(psk: Uint8Array | null, name: DomainName, info: string): DerivedKey | null {
  if (psk === null || psk.length !== SECRET_OCTETS || psk.every((octet) => octet === 0)) return null;
  return { name, secret: hkdf(sha256, psk, undefined, utf8ToBytes(info), SECRET_OCTETS) };
}

/** A key in the forms that clients take. All of them hold the secret. */
export interface KeyTexts {
  /** A file for `nsupdate -k` and `dig -k`: BIND's own form, which acme.sh takes too. */
  readonly bindFile: string;
  /** For `-y` of nsupdate, dig, knsupdate and kdig; and as the one line of a file for the `-k` of the latter two. */
  readonly option: string;
  /** The credentials file of certbot-dns-rfc2136. */
  readonly certbot: string;
  /** The environment of lego's rfc2136 provider, which Traefik uses as well. */
  readonly lego: string;
}

/** `server`: the address of the resolver that takes the updates; certbot wants no name there. */
export function keyTexts(name: DomainName, secret: Uint8Array, server: string): KeyTexts {
  const text = formatName(name.key);
  const base64 = btoa(String.fromCharCode(...secret));
  const nameserver = server.includes(":") ? `[${server}]:53` : `${server}:53`;
  return {
    bindFile: lines([`key "${text}" {`, "\talgorithm hmac-sha256;", `\tsecret "${base64}";`, "};"]),
    option: `hmac-sha256:${text}:${base64}`,
    certbot: lines([
      `dns_rfc2136_server = ${server}`,
      "dns_rfc2136_port = 53",
      `dns_rfc2136_name = ${text}.`,
      `dns_rfc2136_secret = ${base64}`,
      "dns_rfc2136_algorithm = HMAC-SHA256",
    ]),
    lego: lines([
      `RFC2136_NAMESERVER=${nameserver}`,
      `RFC2136_TSIG_KEY=${text}.`,
      "RFC2136_TSIG_ALGORITHM=hmac-sha256.",
      `RFC2136_TSIG_SECRET=${base64}`,
    ]),
  };
}

function lines(all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
