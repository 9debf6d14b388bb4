/**
 * Filter rules of any program in one form: what the codecs of nft's JSON and of iptables-save make, and what is judged.
 * Only what can decide about a packet is kept; a match that nobody here knows is "unknown", and never guessed.
 */

export interface FilterChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Null: entered from other chains only. */
  readonly base: ChainBase | null;
  readonly rules: readonly FilterRule[];
  readonly writtenBy: FilterProgram;
}

/** The program a table is edited with. */
export type FilterProgram = "nft" | "iptables-nft" | "iptables-legacy";

export interface ChainBase {
  /** "filter", "nat" or "route". */
  readonly type: string;
  readonly hook: string;
  readonly priority: number;
  readonly policy: "accept" | "drop";
}

export interface FilterRule {
  /** As a person would read it. */
  readonly text: string;
  readonly comment: string | null;
  /** What nft deletes it by; null where it has none. */
  readonly handle: number | null;
  /** All of them have to hold. */
  readonly matches: readonly Match[];
  /** Null: the rule counts, logs or marks, and the next one is looked at. */
  readonly verdict: Verdict | null;
}

export type Verdict =
  | { readonly kind: "accept" }
  | { readonly kind: "drop" }
  | { readonly kind: "return" }
  /** Ends in a way that is not known from the rule: a queue to a program, a map of verdicts. */
  | { readonly kind: "unknown" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

export type MatchField =
  /** Interface names; a "*" at the end stands for any rest. */
  | "iif"
  | "oif"
  /** "ipv4", "ipv6". */
  | "family"
  | "protocol"
  /** Address, prefix or "first-last". */
  | "saddr"
  | "daddr"
  /** Port or "first-last". */
  | "sport"
  | "dport"
  /** Connection tracking's states in nft's words, and "dnat" and "snat" of its status. */
  | "ct-state"
  /** "value/mask", decimal. */
  | "ct-mark"
  | "mark"
  /** "original", "reply". */
  | "ct-direction"
  /** What the routing table says of the destination: "local", "broadcast", … */
  | "daddr-type"
  | "unknown";

export interface Match {
  readonly field: MatchField;
  readonly negated: boolean;
  /** One of them has to fit. */
  readonly values: readonly string[];
}

export const UNKNOWN_MATCH: Match = { field: "unknown", negated: false, values: [] };
