import { unreachable } from "../../lib/assert.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import type { Owner } from "./owner.ts";
import type { Allow } from "./passages.ts";

/** What all that we add to others' rules bears, so that it can be found again. */
export const EXCEPTION_COMMENT = "portreeve";

export type ExceptionPlace =
  | { readonly kind: "ufw" }
  /** Rules by an iptables program, at the head of a chain. */
  | { readonly kind: "iptables"; readonly program: string; readonly chain: string }
  | { readonly kind: "nft"; readonly family: string; readonly table: string; readonly chain: string }
  /** A policy from one zone to another, or to the host. */
  | { readonly kind: "firewalld"; readonly from: string; readonly to: string };

/** A hole in another's firewall: how, where, for what. Everything that is typed follows from it. */
export interface Exception {
  readonly place: ExceptionPlace;
  readonly allow: Allow;
  readonly mark: number;
}

export type ExceptionStep =
  /** Not where the second command succeeds: then it is there. */
  | { readonly kind: "run"; readonly command: readonly string[]; readonly unless: readonly string[] | null }
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
  mark: number,
): Exception | null {
  const place = placeOf(owner, base, chains, allow);
  return place === null ? null : { place, allow, mark };
}

function placeOf(owner: Owner, base: FilterChain, chains: readonly FilterChain[], allow: Allow): ExceptionPlace | null {
  if (owner === "ufw") return { kind: "ufw" };
  if (owner === "firewalld" && base.writtenBy === "nft") return firewalldPlace(base, chains, allow);
  if (base.writtenBy === "nft") return { kind: "nft", family: base.family, table: base.table, chain: base.name };
  const inDockers = owner === "docker" && chains.some(({ name }) => name === DOCKER_USER);
  return { kind: "iptables", program: base.writtenBy, chain: inDockers ? DOCKER_USER : base.name };
}

/** Docker leaves it to the administrator: its own rules come after it and it never changes any there. */
const DOCKER_USER = "DOCKER-USER";

function firewalldPlace(base: FilterChain, chains: readonly FilterChain[], allow: Allow): ExceptionPlace | null {
  // It lets pass what was DNATed, by whomever; a version that does not cannot be told about a mark.
  if (allow.kind === "forwarded") return null;
  const from = zoneOf(base, chains, allow.kind === "service" ? allow.interface : allow.from);
  const to = allow.kind === "service" ? "HOST" : zoneOf(base, chains, allow.to);
  return from === null || to === null ? null : { kind: "firewalld", from, to };
}

/** As its rules have it: `iifname "lan0" goto filter_IN_internal`; the last rule is the default zone's. */
function zoneOf(base: FilterChain, chains: readonly FilterChain[], name: string): string | null {
  const zones = chains.find((each) => each.table === base.table && each.name === "filter_INPUT_ZONES");
  for (const { matches, verdict } of zones?.rules ?? []) {
    const zone = verdict !== null && "chain" in verdict ? /^filter_IN_(.+)$/.exec(verdict.chain)?.[1] : undefined;
    if (zone === undefined) continue;
    const fits = matches.every(({ field, values }) => field === "iif" && values.includes(name));
    if (fits) return zone;
  }
  return null;
}

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
      return firewalldSteps(place.from, place.to, allow);
    default:
      return unreachable(place);
  }
}

function ufwSteps(allow: Allow, mark: number): ExceptionStep[] {
  const comment = ["comment", EXCEPTION_COMMENT];
  switch (allow.kind) {
    case "forwarded": {
      const [rule = []] = iptablesRules(allow, mark);
      const line = ["-A", "ufw-before-forward", ...rule].join(" ");
      return [{ kind: "ufw-rule", line }];
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

/** Policies bear our name, as nothing else in firewalld can bear a comment; it allows 17 characters. */
export const FIREWALLD_POLICIES = { out: `${EXCEPTION_COMMENT}-out`, in: `${EXCEPTION_COMMENT}-in` } as const;

function firewalldSteps(from: string, to: string, allow: Allow): ExceptionStep[] {
  const policy = to === "HOST" ? FIREWALLD_POLICIES.in : FIREWALLD_POLICIES.out;
  const permanent = (...words: string[]): string[] => ["firewall-cmd", "--permanent", ...words];
  const onPolicy = (word: string): ExceptionStep => {
    return { kind: "run", command: permanent(`--policy=${policy}`, word), unless: null };
  };
  return [
    {
      kind: "run",
      command: permanent(`--new-policy=${policy}`),
      unless: permanent(`--info-policy=${policy}`),
    },
    onPolicy(`--add-ingress-zone=${from}`),
    onPolicy(`--add-egress-zone=${to}`),
    onPolicy(allow.kind === "service" ? `--add-port=${allow.port}/${allow.protocol}` : "--set-target=ACCEPT"),
    { kind: "run", command: ["firewall-cmd", "--reload"], unless: null },
  ];
}

/** The lines a person would type or write. */
export function exceptionLines(exception: Exception): string[] {
  return stepsFor(exception).map((step) => {
    switch (step.kind) {
      case "run":
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
  if (place.kind !== "nft") return null;
  const rules = nftRules(allow, mark).map((rule) => `\`${rule}\``);
  return `it lasts until that table is loaded anew: put ${rules.join(" and ")} at the head of chain ${place.chain} in the file it comes from, /etc/nftables.conf as a rule`;
}
