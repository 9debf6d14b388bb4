import type { Ipv6Place } from "../ipv6-place.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** A subnet with an IPv6 prefix. */
export interface Ipv6SubnetFacts {
  readonly name: string;
  readonly prefix: string;
  readonly place: Ipv6Place;
  /** A part of a WAN's own network that it could have instead; null: there is none. */
  readonly part: string | null;
}

/** `defaultRoute`: the machine has one, by whomever. */
export function judgeIpv6Subnets(subnets: readonly Ipv6SubnetFacts[], defaultRoute: boolean): Finding[] {
  return subnets.map((subnet) => judgeSubnet(subnet, defaultRoute));
}

const CHECK = "ipv6-subnet";

function judgeSubnet({ name, prefix, place, part }: Ipv6SubnetFacts, defaultRoute: boolean): Finding {
  const has = `the subnet ${name} has ${prefix}`;
  const other = (what: string): string => `\`portreeve subnet edit ${name} --ipv6 ${what}\``;
  if (place.kind === "taken") {
    const message = `${has}, and ${place.interface} has ${place.address} in it: its gateway has no address there`;
    return problem(CHECK, message, `give it a prefix of its own: ${other(part ?? "PREFIX")}`);
  }
  if (place.kind === "local") return ok(CHECK, `${has}, for its devices alone: nobody routes unique local addresses`);
  if (!defaultRoute) {
    const next = `have the provider switch IPv6 on and give the machine a default route, or go without: ${other("none")}`;
    return problem(CHECK, `${has}, but the machine has no IPv6 default route, so nothing leaves`, next);
  }
  if (place.kind === "on-link") {
    return ok(CHECK, `${has}, a part of the network at ${place.wans.join(", ")}: the gateway answers for it there`);
  }
  const instead = part === null ? "" : `, or take a part of the WAN's own network: ${other(part)}`;
  const message = `${has}, which is in no WAN's own network: answers come back only if the provider routes it to this machine`;
  return warning(CHECK, message, `if they do not, have the provider route it here${instead}`);
}
