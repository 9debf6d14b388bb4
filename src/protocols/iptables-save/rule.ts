import { type FilterRule, type Match, type MatchField, UNKNOWN_MATCH, type Verdict } from "../../lib/packet-filter.ts";

/** The only error this codec throws: the text is not what iptables-save prints. */
export class IptablesSaveError extends Error {
  override readonly name = "IptablesSaveError";
}

/** A line's words: "…" keeps spaces, and a backslash in it the next character. */
export function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain as string) : quoted.replaceAll(/\\(.)/g, "$1"),
  );
}

/** Extensions whose options are read below, and those that match nothing by themselves. */
const KNOWN_MODULES: ReadonlySet<string> = new Set([
  "tcp",
  "udp",
  "icmp",
  "icmp6",
  "comment",
  "conntrack",
  "state",
  "multiport",
  "addrtype",
  "mark",
  "connmark",
  "iprange",
]);

const FIELDS: Readonly<Record<string, MatchField>> = {
  "-s": "saddr",
  "-d": "daddr",
  "-i": "iif",
  "-o": "oif",
  "-p": "protocol",
  "--sport": "sport",
  "--sports": "sport",
  "--dport": "dport",
  "--dports": "dport",
  "--ctstate": "ct-state",
  "--state": "ct-state",
  "--ctdir": "ct-direction",
  "--dst-type": "daddr-type",
  "--src-range": "saddr",
  "--dst-range": "daddr",
};

/** Words after "-A CHAIN". */
export function decodeRule(rest: readonly string[]): FilterRule {
  const matches: Match[] = [];
  let verdict: Verdict | null = null;
  let comment: string | null = null;
  let module = "";
  for (let index = 0; index < rest.length; index += 1) {
    const negated = rest[index] === "!";
    if (negated) index += 1;
    const option = rest[index];
    if (option === undefined) throw new IptablesSaveError("a rule ends with !");
    const value = rest[index + 1] ?? "";
    if (option === "-j" || option === "-g") {
      verdict = verdictOf(option, value);
      // What follows are options of the target.
      break;
    }
    index = lastWordOf(rest, index);
    if (option === "-m") {
      module = value;
      if (!KNOWN_MODULES.has(module)) matches.push(UNKNOWN_MATCH);
    } else if (option === "--comment") comment = value;
    else if (KNOWN_MODULES.has(module) || !option.startsWith("--")) {
      matches.push(matchOf(option, module, value, negated));
    }
  }
  return { text: rest.map(quoted).join(" "), comment, handle: null, matches, verdict };
}

/** An option has the words up to the next one. */
function lastWordOf(rest: readonly string[], index: number): number {
  let last = index;
  while (last + 1 < rest.length && !/^(!|-{1,2}[a-z])/.test(rest[last + 1] as string)) last += 1;
  return last;
}

const quoted = (word: string): string => (/[\s"]/.test(word) ? JSON.stringify(word) : word);

function matchOf(option: string, module: string, value: string, negated: boolean): Match {
  if (option === "--mark") return markMatch(module, value, negated);
  const field = FIELDS[option];
  if (field === undefined) return UNKNOWN_MATCH;
  const values = value.split(",").map((each) => {
    if (field === "sport" || field === "dport") return each.replace(":", "-");
    if (field === "iif" || field === "oif") return each.replace(/\+$/, "*");
    return each.toLowerCase();
  });
  return { field, negated, values };
}

function markMatch(module: string, text: string, negated: boolean): Match {
  const [value, mask = "0xffffffff"] = text.split("/");
  const field = module === "connmark" ? "ct-mark" : "mark";
  return { field, negated, values: [`${Number(value)}/${Number(mask)}`] };
}

function verdictOf(option: string, target: string): Verdict | null {
  switch (target) {
    case "ACCEPT":
      return { kind: "accept" };
    case "DROP":
    case "REJECT":
      return { kind: "drop" };
    case "RETURN":
      return { kind: "return" };
    case "NFQUEUE":
    case "QUEUE":
    case "SYNPROXY":
      return { kind: "unknown" };
    default:
      // Other targets of iptables go on to the next rule. A chain of the same name would hide the target.
      return CONTINUES.has(target) ? null : { kind: option === "-g" ? "goto" : "jump", chain: target };
  }
}

/** Targets after which the next rule is looked at (iptables-extensions(8)). */
const CONTINUES: ReadonlySet<string> = new Set([
  "AUDIT",
  "CHECKSUM",
  "CLASSIFY",
  "CONNMARK",
  "CONNSECMARK",
  "CT",
  "DSCP",
  "HL",
  "IDLETIMER",
  "LED",
  "LOG",
  "MARK",
  "NFLOG",
  "NOTRACK",
  "RATEEST",
  "SECMARK",
  "SET",
  "TCPMSS",
  "TCPOPTSTRIP",
  "TEE",
  "TOS",
  "TRACE",
  "TTL",
  "ULOG",
]);
