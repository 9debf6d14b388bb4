import type { FilterChain } from "../../lib/packet-filter.ts";
import type { Allow } from "./passages.ts";

/** A policy from one zone to another, or to the host. */
export interface FirewalldPlace {
  readonly kind: "firewalld";
  readonly from: string;
  readonly to: string;
  /** Interfaces that are in their zone as nothing names them: a policy acts on those that a zone names. */
  readonly bind: readonly ZonedInterface[];
}

interface ZonedInterface {
  readonly interface: string;
  readonly zone: string;
}

export type FirewalldStep =
  /** Not where the second command succeeds: then it is there. */
  | { readonly kind: "run"; readonly command: readonly string[]; readonly unless: readonly string[] | null }
  /** Where no zone names it yet; the policy's description keeps that it was done for it. */
  | ({
      readonly kind: "firewalld-bind";
      readonly command: readonly string[];
      readonly policy: string;
    } & ZonedInterface);

/** Policies bear our name, as nothing else in firewalld can bear a comment; it allows 17 characters. */
export const FIREWALLD_POLICIES = {
  out: "portreeve-out",
  in: "portreeve-in",
  within: "portreeve-within",
} as const;

/** Null where it cannot be told of this and of nothing more. */
export function firewalldPlace(
  base: FilterChain,
  chains: readonly FilterChain[],
  allow: Allow,
  wans: readonly string[],
): FirewalldPlace | null {
  // It lets pass what was DNATed, by whomever, and answers; a version that does not cannot be told about a mark.
  if (!isOfZones(allow)) return null;
  const from = zoneOf(base, chains, insideOf(allow));
  if (from === null || wanBeside(base, chains, allow, wans) !== null) return null;
  if (allow.kind === "service") return { kind: "firewalld", from: from.zone, to: "HOST", bind: unbound([from]) };
  const to = zoneOf(base, chains, allow.to);
  return to === null ? null : { kind: "firewalld", from: from.zone, to: to.zone, bind: unbound([from, to]) };
}

/** What an admin has to decide first, where there is no exception; null where that is not the reason. */
export function firewalldAdvice(
  base: FilterChain,
  chains: readonly FilterChain[],
  allow: Allow,
  wans: readonly string[],
): string | null {
  if (!isOfZones(allow)) return null;
  const wan = wanBeside(base, chains, allow, wans);
  if (wan === null) return null;
  const own = insideOf(allow);
  return (
    `${own} is in the same firewalld zone as ${wan}, so what lets devices pass would let the internet pass too: give it a ` +
    `zone of its own, as by \`firewall-cmd --permanent --zone=internal --change-interface=${own}\` and ` +
    "`firewall-cmd --reload`; then `portreeve doctor --fix` adds exceptions"
  );
}

/** What one zone may send to another, or to the machine. */
type OfZones = Extract<Allow, { kind: "between" | "service" }>;

const isOfZones = (allow: Allow): allow is OfZones => allow.kind === "between" || allow.kind === "service";

const insideOf = (allow: OfZones): string => (allow.kind === "service" ? allow.interface : allow.from);

/** A WAN that what lets the interface's zone pass would let pass too. */
function wanBeside(
  base: FilterChain,
  chains: readonly FilterChain[],
  allow: OfZones,
  wans: readonly string[],
): string | null {
  const own = zoneOf(base, chains, insideOf(allow))?.zone;
  if (own === undefined) return null;
  return wans.find((wan) => zoneOf(base, chains, wan)?.zone === own) ?? null;
}

interface Zoned extends ZonedInterface {
  readonly named: boolean;
}

const unbound = (zoned: readonly Zoned[]): ZonedInterface[] => {
  const found = zoned.filter(({ named }) => !named);
  return found.map(({ interface: name, zone }) => ({ interface: name, zone }));
};

/** As its rules have it: `iifname "lan0" goto filter_IN_internal`; the last rule is the default zone's. */
function zoneOf(base: FilterChain, chains: readonly FilterChain[], name: string): Zoned | null {
  const zones = chains.find((each) => each.table === base.table && each.name === "filter_INPUT_ZONES");
  for (const { matches, verdict } of zones?.rules ?? []) {
    const zone = verdict !== null && "chain" in verdict ? /^filter_IN_(.+)$/.exec(verdict.chain)?.[1] : undefined;
    if (zone === undefined) continue;
    const fits = matches.every(({ field, values }) => field === "iif" && values.includes(name));
    if (fits) return { interface: name, zone, named: matches.length > 0 };
  }
  return null;
}

export function firewalldSteps({ from, to, bind }: FirewalldPlace, allow: Allow): FirewalldStep[] {
  const policy = policyOf(to, allow);
  const permanent = (...words: string[]): string[] => ["firewall-cmd", "--permanent", ...words];
  const onPolicy = (word: string): FirewalldStep => {
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
    ...bind.map((each): FirewalldStep => {
      const command = permanent(`--zone=${each.zone}`, `--add-interface=${each.interface}`);
      return { kind: "firewalld-bind", command, policy, ...each };
    }),
    { kind: "run", command: ["firewall-cmd", "--reload"], unless: null },
  ];
}

/** Its own for devices among themselves: in one policy, zones of LANs could send to theirs. */
function policyOf(to: string, allow: Allow): string {
  if (to === "HOST") return FIREWALLD_POLICIES.in;
  return allow.kind === "between" && allow.from === allow.to ? FIREWALLD_POLICIES.within : FIREWALLD_POLICIES.out;
}

/** Null where nothing is bound. */
export function bindNote({ bind }: FirewalldPlace): string | null {
  if (bind.length === 0) return null;
  const names = bind.map(({ interface: name, zone }) => `${name} (zone ${zone})`).join(" and ");
  return (
    `policies act on interfaces that a zone names, so ${names} stays in its zone by name: another default zone no longer ` +
    "moves it, and where that zone forwards within itself, other interfaces in it may send out by it"
  );
}
