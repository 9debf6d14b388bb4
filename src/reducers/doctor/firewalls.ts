import { unreachable } from "../../lib/assert.ts";
import { TLS_PORT } from "../../lib/proxy-ports.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import { exceptionFor } from "./exception.ts";
import { type Finding, ok } from "./finding.ts";
import { firewalldAdvice } from "./firewalld.ts";
import { type Owner, ownerOf, ownerText } from "./owner.ts";
import { type Allow, type Passage, passagesOf, type Served } from "./passages.ts";
import { type Drop, dropOf } from "./walk.ts";

export interface FirewallFacts {
  /** Of all tables but our own. */
  readonly chains: readonly FilterChain[];
  /** "family table" as /etc/nftables.conf has them. */
  readonly configured: readonly string[];
  readonly served: Served;
}

const CHECK = "other-firewalls";

/** What is dropped for one reason, so that one exception is enough. */
interface Case {
  readonly owner: Owner;
  readonly base: FilterChain;
  readonly allow: Allow;
  readonly hits: { readonly passage: Passage; readonly drop: Drop }[];
}

/** Every base chain has to accept: one drop is enough, whatever any other table says. */
export function judgeFirewalls(facts: FirewallFacts): Finding[] {
  const { chains, configured, served } = facts;
  const cases = new Map<string, Case>();
  for (const base of chains.filter(isFiltering)) {
    for (const passage of passagesOf(served)) {
      const drop = dropIn(passage, base, chains);
      if (drop === null) continue;
      const owner = ownerOf(drop.chain, chains, configured);
      const key = JSON.stringify([base.family, base.table, base.name, owner, passage.allow]);
      const same = cases.get(key) ?? { owner, base, allow: passage.allow, hits: [] };
      same.hits.push({ passage, drop });
      cases.set(key, same);
    }
  }
  const findings = [...cases.values()].map((each) => findingOf(each, facts)).filter((each) => each !== null);
  return findings.length > 0 ? findings : [ok(CHECK, presentText(facts))];
}

const isFiltering = ({ family, base }: FilterChain): boolean =>
  base !== null && base.type === "filter" && (family === "ip" || family === "inet");

function dropIn({ packets }: Passage, base: FilterChain, chains: readonly FilterChain[]): Drop | null {
  let doubted: Drop | null = null;
  for (const { hook, packet } of packets) {
    if (hook !== base.base?.hook) continue;
    const drop = dropOf(packet, base, chains);
    if (drop?.certain === true) return drop;
    doubted ??= drop;
  }
  return doubted;
}

function findingOf({ owner, base, allow, hits }: Case, { chains, served }: FirewallFacts): Finding | null {
  // Of forwards that exist, only those that are dropped matter; any other port may be asked for later.
  const general = hits.filter(({ passage }) => passage.forward === null);
  const forwards = hits.filter(({ passage }) => passage.forward !== null);
  const shown = general.length > 0 ? general : forwards;
  const [first] = shown;
  if (first === undefined) return null;
  const subjects = [...new Set(shown.map(({ passage }) => passage.subject))].join(", ");
  const certain = shown.some(({ drop }) => drop.certain);
  const allPass = allow.kind === "forwarded" && served.forwards.length > 0 && forwards.length === 0;
  const { drop } = shown.find((hit) => hit.drop.certain) ?? first;
  const exception = exceptionFor(owner, base, chains, allow, served);
  const advice = owner === "firewalld" ? firewalldAdvice(base, chains, allow, served.wans) : null;
  const named = forwards.map(({ passage }) => forwardText(passage)).slice(0, NAMED_MAX);
  return {
    check: CHECK,
    level: certain && !allPass ? "problem" : "warning",
    message: `${ownerText(owner, drop.chain)} ${certain ? "drops" : "may drop"} ${whatText(allow)} ${subjects}`,
    details: [dropText(drop), ...(named.length === 0 ? [] : [`among it ${[...new Set(named)].join(", ")}`])],
    fix:
      exception === null
        ? (advice ?? `let it pass in ${ownerText(owner, drop.chain)}: ${markedText(base, served.forwardMark)}`)
        : "`portreeve doctor --fix` adds an exception for that and nothing more",
    exception,
  };
}

const NAMED_MAX = 5;
const hexMark = (mark: number): string => `0x${mark.toString(16)}/0x${mark.toString(16)}`;

/** What a person can tell it by. */
const markedText = ({ base }: FilterChain, mark: number): string =>
  base?.hook === "output"
    ? "it is dropped on its way out, where `portreeve doctor` adds nothing"
    : `flows that Portreeve forwards bear connection mark ${hexMark(mark)}`;

const forwardText = ({ forward }: Passage): string =>
  forward === null ? "" : `${forward.address}:${forward.port}/${forward.protocol}`;

function whatText(allow: Allow): string {
  switch (allow.kind) {
    case "forwarded":
      return "what Portreeve forwards";
    case "proxied":
      return allow.port === TLS_PORT ? "what is for TLS routes" : "what is to be sent to HTTPS";
    case "answers":
      return "what passes between HAProxy and hosts of TLS routes";
    case "between":
      return "what devices send";
    case "service":
      return "requests to";
    default:
      return unreachable(allow);
  }
}

/** "table ip filter, chain FORWARD: policy drop". */
function dropText({ chain, rule }: Drop): string {
  const where = `table ${chain.family} ${chain.table}, chain ${chain.name}`;
  return rule === null ? `${where}: policy drop` : `${where}: ${rule.text === "" ? "drop" : rule.text}`;
}

function presentText({ chains, configured, served }: FirewallFacts): string {
  if (passagesOf(served).length === 0) return "nothing is served yet that another firewall could drop";
  const others = chains
    .filter((each) => isFiltering(each) && (each.rules.length > 0 || each.base?.policy === "drop"))
    .map((each) => ownerText(ownerOf(each, chains, configured), each));
  const names = [...new Set(others)];
  return names.length === 0 ? "no other firewall filters here" : `${names.join(", ")}: let pass all that is needed`;
}
