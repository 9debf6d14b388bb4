import { type NameKey, parseName } from "../../../../lib/domain-name.ts";
import { TYPE } from "../../../../protocols/dns/constants.ts";

/**
 * What never leaves this network, whoever the upstream is: names with a meaning of their own, and addresses
 * that are everybody's. An upstream that was given such a domain by name is asked for it all the same.
 */
export type LocalAnswer =
  | { readonly kind: "address"; readonly type: "A" | "AAAA" }
  /** The empty zone's own records. */
  | { readonly kind: "apex-soa" | "apex-ns"; readonly apex: string }
  | { readonly kind: "no-data" | "no-name"; readonly apex: string };

interface Special {
  readonly kind: "loopback" | "empty" | "no-data";
  /**
   * The root delegates it unsigned, and a validator wants to see that: DS of the name itself is forwarded
   * (RFC 8375 §4 for home.arpa; RFC 7534 for the reverse zones).
   */
  readonly delegated: boolean;
}

/** RFC 6761, 6762, 7686, 9476; `internal` is ICANN's of 2024. */
const NAMES = ["invalid", "onion", "alt", "local", "test", "internal"];
/** RFC 6303 §4 and RFC 7793. */
const REVERSE = [
  "10.in-addr.arpa",
  ...Array.from({ length: 16 }, (_, index) => `${16 + index}.172.in-addr.arpa`),
  "168.192.in-addr.arpa",
  ...Array.from({ length: 64 }, (_, index) => `${64 + index}.100.in-addr.arpa`),
  "0.in-addr.arpa",
  "127.in-addr.arpa",
  "254.169.in-addr.arpa",
  "2.0.192.in-addr.arpa",
  "100.51.198.in-addr.arpa",
  "113.0.203.in-addr.arpa",
  "255.255.255.255.in-addr.arpa",
  `${"0.".repeat(32)}ip6.arpa`,
  `1.${"0.".repeat(31)}ip6.arpa`,
  "d.f.ip6.arpa",
  ...["8", "9", "a", "b"].map((digit) => `${digit}.e.f.ip6.arpa`),
  "8.b.d.0.1.0.0.2.ip6.arpa",
];

const keyOf = (text: string): string => parseName(text)?.key as string;

const SPECIAL = new Map<string, Special>([
  [keyOf("localhost"), { kind: "loopback", delegated: false }],
  ...NAMES.map((name) => [keyOf(name), { kind: "empty", delegated: false }] as const),
  [keyOf("home.arpa"), { kind: "empty", delegated: true }],
  // RFC 9462 §4: nobody but the resolver itself speaks for it, and we have nothing to say there.
  [keyOf("resolver.arpa"), { kind: "no-data", delegated: false }],
  ...REVERSE.map((name) => [keyOf(name), { kind: "empty", delegated: true }] as const),
]);

/** Of these a name of one label is a host of some network, not a top-level domain (dnsmasq's domain-needed). */
const HOST_TYPES = new Set<number>([TYPE.A, TYPE.AAAA, TYPE.SVCB, TYPE.HTTPS, TYPE.MX, TYPE.SRV, TYPE.TXT]);

/** Null: it is forwarded. */
export function localAnswer(key: NameKey, type: number): LocalAnswer | null {
  let labels = 0;
  for (let at = 0; key.charCodeAt(at) !== 0; at += 1 + key.charCodeAt(at)) {
    labels += 1;
    const apex = key.slice(at);
    const special = SPECIAL.get(apex);
    if (special !== undefined) return answerIn(special, apex, at === 0, type);
  }
  return labels === 1 && HOST_TYPES.has(type) ? { kind: "no-name", apex: "\0" } : null;
}

function answerIn({ kind, delegated }: Special, apex: string, isApex: boolean, type: number): LocalAnswer | null {
  if (isApex && delegated && type === TYPE.DS) return null;
  if (kind === "loopback" && type === TYPE.A) return { kind: "address", type: "A" };
  if (kind === "loopback" && type === TYPE.AAAA) return { kind: "address", type: "AAAA" };
  if (kind !== "empty") return { kind: "no-data", apex };
  if (!isApex) return { kind: "no-name", apex };
  if (type === TYPE.SOA) return { kind: "apex-soa", apex };
  return type === TYPE.NS ? { kind: "apex-ns", apex } : { kind: "no-data", apex };
}
