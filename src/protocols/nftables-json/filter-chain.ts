import {
  type FilterChain,
  type FilterRule,
  type Match,
  type MatchField,
  UNKNOWN_MATCH,
  type Verdict,
} from "../../lib/packet-filter.ts";
import { decodeListing } from "./listing.ts";
import type { ChainObject, RuleObject } from "./schema.ts";

type Json = Readonly<Record<string, unknown>>;

/** What `list chains` or `list chain …` printed: chains in the kernel's order, each with the rules that were listed. */
export function decodeFilterChains(text: string): FilterChain[] {
  const objects = decodeListing(text);
  const rules = objects.flatMap((each) => (each.kind === "rule" ? [each.object] : []));
  return objects.flatMap((each) => (each.kind === "chain" ? [filterChain(each.object, rules)] : []));
}

function filterChain(chain: ChainObject, rules: readonly RuleObject[]): FilterChain {
  const { family, table, name, type, hook, prio, policy } = chain;
  const own = rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name);
  return {
    family,
    table,
    name,
    base:
      type === undefined || hook === undefined
        ? null
        : { type, hook, priority: prio ?? 0, policy: policy === "drop" ? "drop" : "accept" },
    rules: own.flatMap(filterRules),
    // What nft cannot express it lists as an extension of iptables: only iptables can have written that.
    writtenBy: own.some((rule) => rule.expr.some((each) => isObject(each) && "xt" in each)) ? "iptables-nft" : "nft",
  };
}

/** One rule, or one for each branch of its verdict map: the keys of a map exclude each other. */
function filterRules(rule: RuleObject): FilterRule[] {
  const matches: Match[] = [];
  let verdict: Verdict | null = null;
  let branches: { readonly match: Match; readonly verdict: Verdict }[] | null = null;
  let action: string | null = null;
  for (const statement of rule.expr) {
    if (!isObject(statement)) continue;
    const [kind, body] = Object.entries(statement)[0] ?? ["", null];
    if (kind === "match") matches.push(...matchesOf(body));
    else if (kind === "vmap") branches = branchesOf(body);
    else if (CHOOSES.has(kind)) matches.push(UNKNOWN_MATCH);
    else {
      const found = verdictOf(kind, body);
      if (found !== null) [verdict, action] = [found, kind];
    }
  }
  const comment = typeof rule["comment"] === "string" ? rule["comment"] : null;
  const handle = typeof rule["handle"] === "number" ? rule["handle"] : null;
  const make = (all: readonly Match[], end: Verdict | null): FilterRule => {
    return { text: ruleText(all, end, action), comment, handle, matches: all, verdict: end };
  };
  if (branches === null) return [make(matches, verdict)];
  return branches.map((branch) => make([...matches, branch.match], branch.verdict));
}

/** Statements that end the rule for packets they choose; "xt" is a match of iptables, or a target. */
const CHOOSES: ReadonlySet<string> = new Set(["limit", "quota", "ct count", "set", "xt"]);

function verdictOf(kind: string, body: unknown): Verdict | null {
  switch (kind) {
    case "accept":
    case "drop":
    case "return":
      return { kind };
    case "reject":
      return { kind: "drop" };
    case "jump":
    case "goto":
      return { kind, chain: String(isObject(body) ? body["target"] : "") };
    case "queue":
    case "synproxy":
      return { kind: "unknown" };
    default:
      return null;
  }
}

function branchesOf(body: unknown): { match: Match; verdict: Verdict }[] {
  const unknown = [{ match: UNKNOWN_MATCH, verdict: { kind: "unknown" } as Verdict }];
  if (!isObject(body) || !isObject(body["data"]) || !Array.isArray(body["data"]["set"])) return unknown;
  const field = fieldOf(body["key"]);
  if (field === null) return unknown;
  return body["data"]["set"].flatMap((pair: unknown) => {
    if (!Array.isArray(pair)) return unknown;
    const [kind, end] = Object.entries((pair[1] ?? {}) as Json)[0] ?? ["", null];
    const values = valuesOf(field, pair[0]);
    const match = values === null ? UNKNOWN_MATCH : { field, negated: false, values };
    // "continue": as if the map had nothing for it.
    return kind === "continue" ? [] : [{ match, verdict: verdictOf(kind, end) ?? { kind: "unknown" as const } }];
  });
}

function matchesOf(body: unknown): Match[] {
  if (!isObject(body)) return [UNKNOWN_MATCH];
  const { op, left, right } = body;
  const masked = maskedMatch(op, left, right);
  if (masked !== null) return [masked];
  const field = fieldOf(left);
  const values = field === null ? null : valuesOf(field, right);
  if (field === null || values === null || (op !== "==" && op !== "!=" && op !== "in")) {
    return [...impliedBy(left), UNKNOWN_MATCH];
  }
  return [...impliedBy(left), { field, negated: op === "!=", values }];
}

/** `ct mark & 0x01000000 != 0`, `meta mark & 0xff == 0x1`. */
function maskedMatch(op: unknown, left: unknown, right: unknown): Match | null {
  const parts = isObject(left) ? left["&"] : null;
  if (!Array.isArray(parts) || typeof parts[1] !== "number" || typeof right !== "number") return null;
  const field = fieldOf(parts[0]);
  if (field !== "ct-mark" && field !== "mark") return null;
  return { field, negated: op === "!=", values: [`${right}/${parts[1]}`] };
}

const META_FIELDS: Readonly<Record<string, MatchField>> = {
  iifname: "iif",
  iif: "iif",
  oifname: "oif",
  oif: "oif",
  nfproto: "family",
  l4proto: "protocol",
  mark: "mark",
};
const CT_FIELDS: Readonly<Record<string, MatchField>> = {
  state: "ct-state",
  status: "ct-state",
  mark: "ct-mark",
  direction: "ct-direction",
};
const PAYLOAD_FIELDS: Readonly<Record<string, MatchField>> = {
  saddr: "saddr",
  daddr: "daddr",
  sport: "sport",
  dport: "dport",
};

function fieldOf(left: unknown): MatchField | null {
  if (!isObject(left)) return null;
  const { meta, ct, payload, fib } = left;
  if (isObject(meta)) return META_FIELDS[String(meta["key"])] ?? null;
  if (isObject(ct)) return ct["dir"] === undefined ? (CT_FIELDS[String(ct["key"])] ?? null) : null;
  if (isObject(fib)) return fib["result"] === "type" && String(fib["flags"]) === "daddr" ? "daddr-type" : null;
  if (!isObject(payload)) return null;
  const { protocol, field } = payload;
  if (protocol === "ip" && field === "protocol") return "protocol";
  return PAYLOAD_FIELDS[String(field)] ?? null;
}

/** `tcp dport 22` is a match of the protocol as well, which nft does not list. */
function impliedBy(left: unknown): Match[] {
  const payload = isObject(left) && isObject(left["payload"]) ? left["payload"] : null;
  const protocol = payload === null ? null : String(payload["protocol"]);
  if (protocol === "ip" || protocol === "ip6") {
    return [{ field: "family", negated: false, values: [protocol === "ip" ? "ipv4" : "ipv6"] }];
  }
  if (protocol === null || protocol === "th" || protocol === "ether") return [];
  return [{ field: "protocol", negated: false, values: [protocol] }];
}

/** Null where a value is none that can be compared: a named set, a concatenation. */
function valuesOf(field: MatchField, right: unknown): string[] | null {
  if (isObject(right) && Array.isArray(right["set"])) return allOf(field, right["set"]);
  if (Array.isArray(right)) return allOf(field, right);
  if (isObject(right) && Array.isArray(right["|"])) return allOf(field, right["|"]);
  const value = valueOf(right);
  if (value === null || value.startsWith("@")) return null;
  return [field === "ct-mark" || field === "mark" ? `${value}/4294967295` : value];
}

function allOf(field: MatchField, list: readonly unknown[]): string[] | null {
  const values = list.map((each) => valuesOf(field, each));
  return values.includes(null) ? null : values.flatMap((each) => each ?? []);
}

function valueOf(right: unknown): string | null {
  if (typeof right === "string" || typeof right === "number") return String(right);
  if (!isObject(right)) return null;
  const { prefix, range, elem } = right;
  if (isObject(prefix)) return `${String(prefix["addr"])}/${String(prefix["len"])}`;
  if (Array.isArray(range)) return `${String(range[0])}-${String(range[1])}`;
  return isObject(elem) ? valueOf(elem["val"]) : null;
}

/** Close to nft's own words, which its JSON leaves out. */
function ruleText(matches: readonly Match[], verdict: Verdict | null, action: string | null): string {
  const words = matches.map(({ field, negated, values }) =>
    field === "unknown" ? "…" : `${field} ${negated ? "!= " : ""}${values.join(", ")}`,
  );
  const end =
    verdict === null ? [] : "chain" in verdict ? [`${verdict.kind} ${verdict.chain}`] : [action ?? verdict.kind];
  return [...words, ...end].join(" ");
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
