import { type Finding, warning } from "./finding.ts";
import { type FirewallFacts, judgeFirewalls } from "./firewalls.ts";
import { type GatewayFacts, judgeGateway } from "./gateway.ts";
import { judgeIpv6Subnets } from "./ipv6.ts";
import { judgeMachine, type MachineFacts } from "./machine.ts";

export interface Facts {
  readonly gateway: GatewayFacts;
  readonly machine: MachineFacts;
  readonly firewalls: FirewallFacts;
  /** What could not be found out: a check, and why. */
  readonly unknown: readonly { readonly check: string; readonly reason: string }[];
}

/** Facts → findings, in the order a person mends them in. */
export function judge({ gateway, machine, firewalls, unknown }: Facts): Finding[] {
  const unread = unknown.map(({ check, reason }) =>
    warning(check, `this could not be checked: ${reason}`, "run the daemon as root, or with CAP_NET_ADMIN"),
  );
  return [
    ...judgeGateway(gateway),
    ...judgeMachine(machine),
    ...judgeIpv6Subnets(gateway.ipv6Subnets, machine.ipv6Default),
    ...judgeFirewalls(firewalls),
    ...unread,
  ];
}
