import { parseIpv4, parseIpv4Prefix, prefixContains } from "../../lib/ip.ts";
import type { FilterChain, FilterRule, Match } from "../../lib/packet-filter.ts";

/** A packet as the filter hooks see it, as far as rules of others could tell it from others. */
export interface Packet {
  /** Null: it is ours, and came in nowhere. */
  readonly iif: string | null;
  /** Null: it is for us. */
  readonly oif: string | null;
  readonly protocol: "tcp" | "udp";
  /** Null: any address of the Internet. */
  readonly source: string | null;
  readonly destination: string | null;
  /** Null: any port. */
  readonly sourcePort: number | null;
  readonly destinationPort: number | null;
  /** "new", "established", "untracked"; and "dnat". */
  readonly states: readonly string[];
  readonly mark: number;
  readonly direction: "original" | "reply";
}

/** Where a packet ends: `rule` null means the chain's policy. */
export interface Drop {
  readonly chain: FilterChain;
  readonly rule: FilterRule | null;
  /** False: a rule before it, which nobody here can read, may accept the packet. */
  readonly certain: boolean;
}

/**
 * Takes a packet through one base chain. A match that cannot be read may hold or not: where it stands before a drop
 * (a blocklist, a limit) it is taken not to, as that rule is meant for chosen packets; before an accept it leaves doubt.
 */
export function dropOf(packet: Packet, base: FilterChain, chains: readonly FilterChain[]): Drop | null {
  const walk = new Walk(packet, chains);
  const end = walk.through(base, true, 0);
  if (end !== null) return end.drop === null ? null : { ...end.drop, certain: !walk.doubtful };
  return base.base?.policy === "drop" ? { chain: base, rule: null, certain: !walk.doubtful } : null;
}

/** The kernel allows no deeper: NFT_JUMP_STACK_SIZE of include/net/netfilter/nf_tables.h. */
const DEPTH_MAX = 16;

class Walk {
  doubtful = false;
  readonly #packet: Packet;
  readonly #chains: readonly FilterChain[];

  constructor(packet: Packet, chains: readonly FilterChain[]) {
    this.#packet = packet;
    this.#chains = chains;
  }

  /** Null: the chain came to its end without a decision. `sure`: the packet does come this way. */
  through(chain: FilterChain, sure: boolean, depth: number): { drop: Omit<Drop, "certain"> | null } | null {
    for (const rule of chain.rules) {
      const fits = fitOf(rule.matches, this.#packet);
      if (fits === "no" || rule.verdict === null) continue;
      const here = sure && fits === "yes";
      const { verdict } = rule;
      if (verdict.kind === "accept" || verdict.kind === "unknown") {
        if (here && verdict.kind === "accept") return { drop: null };
        this.doubtful = true;
      } else if (verdict.kind === "drop") {
        if (here) return { drop: { chain, rule } };
      } else if (verdict.kind === "return") {
        // The rest may be skipped: what it would decide is in doubt then.
        if (here || (!sure && fits === "yes")) return null;
        this.doubtful = true;
      } else {
        const target = this.#chains.find(
          (each) => each.family === chain.family && each.table === chain.table && each.name === verdict.chain,
        );
        if (target === undefined || depth >= DEPTH_MAX) this.doubtful = true;
        else {
          const end = this.through(target, here, depth + 1);
          if (end !== null) return end;
          // A base chain's policy decides after a goto as well.
          if (verdict.kind === "goto" && here) return null;
        }
      }
    }
    return null;
  }
}

type Fit = "yes" | "no" | "maybe";

function fitOf(matches: readonly Match[], packet: Packet): Fit {
  let fit: Fit = "yes";
  for (const match of matches) {
    const one = matchFits(match, packet);
    if (one === "no") return "no";
    if (one === "maybe") fit = "maybe";
  }
  return fit;
}

function matchFits({ field, negated, values }: Match, packet: Packet): Fit {
  let fit: Fit = "no";
  for (const value of values) {
    const one = valueFits(field, value, packet);
    if (one === "yes") fit = "yes";
    else if (one === "maybe" && fit === "no") fit = "maybe";
  }
  if (field === "unknown" || fit === "maybe") return "maybe";
  return (fit === "yes") === negated ? "no" : "yes";
}

function valueFits(field: Match["field"], value: string, packet: Packet): Fit {
  switch (field) {
    case "iif":
      return yesIf(nameFits(value, packet.iif));
    case "oif":
      return yesIf(nameFits(value, packet.oif));
    case "family":
      return yesIf(value === "ipv4");
    case "protocol":
      return yesIf(value === packet.protocol || value === "all" || value === PROTOCOL_NUMBERS[packet.protocol]);
    case "saddr":
      return yesIf(addressFits(value, packet.source));
    case "daddr":
      return yesIf(addressFits(value, packet.destination));
    case "sport":
      return yesIf(portFits(value, packet.sourcePort));
    case "dport":
      return yesIf(portFits(value, packet.destinationPort));
    case "ct-state":
      return stateFits(value, packet);
    case "ct-mark":
      return yesIf(markFits(value, packet.mark));
    // Of a packet we mark nothing.
    case "mark":
      return yesIf(markFits(value, 0));
    case "ct-direction":
      return packet.states.includes("untracked") ? "no" : yesIf(value === packet.direction);
    case "daddr-type":
      return yesIf(value === (packet.oif === null ? "local" : "unicast"));
    default:
      return "maybe";
  }
}

const PROTOCOL_NUMBERS = { tcp: "6", udp: "17" } as const;
/** Of what rules compare with connection tracking, the words we know of every packet. */
const KNOWN_STATES: ReadonlySet<string> = new Set(["new", "established", "related", "invalid", "untracked", "dnat"]);

const yesIf = (holds: boolean): Fit => (holds ? "yes" : "no");

function stateFits(value: string, { states }: Packet): Fit {
  return KNOWN_STATES.has(value) ? yesIf(states.includes(value)) : "maybe";
}

function nameFits(pattern: string, name: string | null): boolean {
  if (name === null) return false;
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** "The Internet" is in no prefix but the whole: a rule for a part of it is meant for that part. */
function addressFits(value: string, address: string | null): boolean {
  const [first = "", last] = value.split("-");
  const prefix = parseIpv4Prefix(first.includes("/") ? first : `${first}/32`);
  if (prefix === null) return false;
  if (address === null) return last === undefined && prefix.length === 0;
  const number = parseIpv4(address);
  if (number === null) return false;
  if (last === undefined) return prefixContains(prefix, number);
  const end = parseIpv4(last);
  return end !== null && number >= prefix.address && number <= end;
}

function portFits(value: string, port: number | null): boolean {
  const [first = Number.NaN, last = first] = value.split("-").map(Number);
  return port === null ? first <= 1 && last === 65535 : port >= first && port <= last;
}

function markFits(value: string, mark: number): boolean {
  const [wanted = 0, mask = 0] = value.split("/").map(Number);
  return (mark & mask) >>> 0 === wanted >>> 0;
}
