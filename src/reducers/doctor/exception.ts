import { unreachable } from "../../lib/assert.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import { bindNote, type FirewalldPlace, firewalldPlace, type FirewalldStep, firewalldSteps } from "./firewalld.ts";
import type { Owner } from "./owner.ts";
import type { Allow, Served } from "./passages.ts";

/** What all that we add to others' rules bears, so that it can be found again. */
export const EXCEPTION_COMMENT = "portreeve";

export type ExceptionPlace =
  | { readonly kind: "ufw" }
  /** Rules by an iptables program, at the head of a chain. */
  | { readonly kind: "iptables"; readonly program: string; readonly chain: string }
  | { readonly kind: "nft"; readonly family: string; readonly table: string; readonly chain: string }
  | FirewalldPlace;

/** A hole in another's firewall: how, where, for what. Everything that is typed follows from it. */
export interface Exception {
  readonly place: ExceptionPlace;
  readonly allow: Allow;
  readonly mark: number;
}

export type ExceptionStep =
  | FirewalldStep
  | {
      readonly kind: "nft-rule";
      readonly family: string;
      readonly table: string;
      readonly chain: string;
      readonly rule: string;
    }
  /** For /etc/ufw/before.rules, which ufw reads before its own rules: `ufw route allow` asks for no connection mark. */
  | { readonly kind: "ufw-rule"; readonly line: string };

/** Null where that firewall has no way to say it. */
export function exceptionFor(
  owner: Owner,
  base: FilterChain,
  chains: readonly FilterChain[],
  allow: Allow,
  { forwardMark: mark, wans }: Pick<Served, "forwardMark" | "wans">,
): Exception | null {
  // What is let in is told from what is let out by other words.
  if (base.base?.hook === "output") return null;
  const place =
    owner === "firewalld" && base.writtenBy === "nft"
      ? firewalldPlace(base, chains, allow, wans)
      : placeOf(owner, base, chains);
  return place === null ? null : { place, allow, mark };
}

function placeOf(owner: Owner, base: FilterChain, chains: readonly FilterChain[]): ExceptionPlace {
  if (owner === "ufw") return { kind: "ufw" };
  if (base.writtenBy === "nft") return { kind: "nft", family: base.family, table: base.table, chain: base.name };
  const inDockers =
    owner === "docker" && base.base?.hook === "forward" && chains.some(({ name }) => name === DOCKER_USER);
  return { kind: "iptables", program: base.writtenBy, chain: inDockers ? DOCKER_USER : base.name };
}

/** Docker leaves it to the administrator: its own rules come after it and it never changes any there. */
const DOCKER_USER = "DOCKER-USER";

/** What to do, in order. Running it twice adds nothing more. */
export function stepsFor({ place, allow, mark }: Exception): ExceptionStep[] {
  switch (place.kind) {
    case "ufw":
      return ufwSteps(allow, mark);
    case "iptables":
      return iptablesRules(allow, mark).map((rule) => ({
        kind: "run",
        command: [place.program, "-I", place.chain, ...rule],
        unless: [place.program, "-C", place.chain, ...rule],
      }));
    case "nft":
      return nftRules(allow, mark).map((rule) => {
        const { family, table, chain } = place;
        return { kind: "nft-rule", family, table, chain, rule };
      });
    case "firewalld":
      return firewalldSteps(place, allow);
    default:
      return unreachable(place);
  }
}

function ufwSteps(allow: Allow, mark: number): ExceptionStep[] {
  const comment = ["comment", EXCEPTION_COMMENT];
  switch (allow.kind) {
    case "forwarded":
    case "proxied":
    case "answers": {
      const chain = allow.kind === "forwarded" ? "ufw-before-forward" : "ufw-before-input";
      return iptablesRules(allow, mark).map((rule) => ({ kind: "ufw-rule", line: ["-A", chain, ...rule].join(" ") }));
    }
    case "between": {
      const command = ["ufw", "route", "allow", "in", "on", allow.from, "out", "on", allow.to, ...comment];
      return [{ kind: "run", command, unless: null }];
    }
    case "service": {
      const { interface: own, protocol, port } = allow;
      const to = ["to", "any", "port", String(port), "proto", protocol];
      return [{ kind: "run", command: ["ufw", "allow", "in", "on", own, ...to, ...comment], unless: null }];
    }
    default:
      return unreachable(allow);
  }
}

function iptablesRules(allow: Allow, mark: number): string[][] {
  const accept = ["-m", "comment", "--comment", EXCEPTION_COMMENT, "-j", "ACCEPT"];
  const bits = `0x${mark.toString(16)}`;
  switch (allow.kind) {
    case "forwarded":
      return [["-m", "connmark", "--mark", `${bits}/${bits}`, ...accept]];
    case "proxied": {
      const to = ["-p", "tcp", "-m", "tcp", "--dport", String(allow.port)];
      const ours = ["-m", "conntrack", "--ctstate", "DNAT", "-m", "connmark", "--mark", `${bits}/${bits}`];
      return [[...to, ...ours, ...accept]];
    }
    case "answers": {
      const answers = ["-m", "conntrack", "--ctstate", "ESTABLISHED", "--ctdir", "REPLY"];
      return [["-i", allow.interface, "-p", "tcp", ...answers, ...accept]];
    }
    case "between": {
      const back = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"];
      const { from, to } = allow;
      return [["-i", from, "-o", to, ...accept], ...(from === to ? [] : [["-i", to, "-o", from, ...back, ...accept]])];
    }
    case "service":
      return [["-i", allow.interface, "-p", allow.protocol, "--dport", String(allow.port), ...accept]];
    default:
      return unreachable(allow);
  }
}

/** Word for word as nft 1.0 lists them, so that they are found again. */
function nftRules(allow: Allow, mark: number): string[] {
  const accept = `accept comment "${EXCEPTION_COMMENT}"`;
  const bits = `0x${mark.toString(16).padStart(8, "0")}`;
  switch (allow.kind) {
    case "forwarded":
      return [`ct mark & ${bits} == ${bits} ${accept}`];
    case "proxied":
      return [`ct mark & ${bits} == ${bits} ct status dnat tcp dport ${allow.port} ${accept}`];
    case "answers":
      return [`iifname "${allow.interface}" meta l4proto tcp ct state established ct direction reply ${accept}`];
    case "between": {
      const { from, to } = allow;
      const back = `iifname "${to}" oifname "${from}" ct state established,related ${accept}`;
      return [`iifname "${from}" oifname "${to}" ${accept}`, ...(from === to ? [] : [back])];
    }
    case "service":
      return [`iifname "${allow.interface}" ${allow.protocol} dport ${allow.port} ${accept}`];
    default:
      return unreachable(allow);
  }
}

/** The lines a person would type or write. */
export function exceptionLines(exception: Exception): string[] {
  return stepsFor(exception).map((step) => {
    switch (step.kind) {
      case "run":
      case "firewalld-bind":
        return step.command.map(shellWord).join(" ");
      case "nft-rule":
        return `nft insert rule ${step.family} ${step.table} ${step.chain} '${step.rule}'`;
      case "ufw-rule":
        return `${step.line}   # a line for /etc/ufw/before.rules, above its COMMIT; then: ufw reload`;
      default:
        return unreachable(step);
    }
  });
}

const shellWord = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`);

/** What is to be known about an exception once it is there; null where it stays by itself. */
export function lastingNote({ place, allow, mark }: Exception): string | null {
  if (place.kind === "iptables") {
    return `${place.program} forgets it at a reboot: run \`portreeve doctor --fix --yes\` again, or let netfilter-persistent save it`;
  }
  if (place.kind === "firewalld") return bindNote(place);
  if (place.kind !== "nft") return null;
  const rules = nftRules(allow, mark).map((rule) => `\`${rule}\``);
  return `it lasts until that table is loaded anew: put ${rules.join(" and ")} at the head of chain ${place.chain} in the file it comes from, /etc/nftables.conf as a rule`;
}
