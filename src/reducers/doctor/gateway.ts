import { parseIpv4, parseIpv4Prefix, prefixContains } from "../../lib/ip.ts";
import type { ProxyCondition } from "../../lib/proxy-condition.ts";
import { type Unanswered, unansweredText } from "../unanswered.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";
import type { Ipv6SubnetFacts } from "./ipv6.ts";

/** What the controller knows of itself. */
export interface GatewayFacts {
  /** What is wrong with the log, in safe mode. */
  readonly fault: { readonly message: string; readonly next: string } | null;
  readonly verification: { readonly state: "running" | "ok" | "damaged" | "failed"; readonly message: string } | null;
  readonly reconcilers: readonly ReconcilerFacts[];
  readonly wans: readonly WanFacts[];
  /** They are named in the configuration, and not just those that have a default route now. */
  readonly wansNamed: boolean;
  /** Sockets of this machine's programs that a WAN reaches. */
  readonly listeners: readonly { readonly protocol: "tcp" | "udp"; readonly port: number }[];
  readonly ipv6Subnets: readonly Ipv6SubnetFacts[];
  /** Visitors that devices cannot answer, forward by forward. */
  readonly unanswered: readonly Unanswered[];
  /** What has port 80 although HTTP is to be sent to HTTPS there. */
  readonly redirectRivals: readonly string[];
  /** Null while nobody needs it. */
  readonly proxy: ProxyCondition | null;
}

export interface ReconcilerFacts {
  readonly name: string;
  readonly level: "ok" | "degraded" | "paused" | "stopped";
  readonly message: string;
  readonly heldBack: number;
}

export interface WanFacts {
  readonly interface: string;
  readonly up: boolean;
  /** IPv4, without prefix lengths. */
  readonly addresses: readonly string[];
  /** What clients are told; null while they can't be told any. */
  readonly externalAddress: string | null;
  /** Where its default route leads; null while it has none. */
  readonly gateway: string | null;
}

export function judgeGateway(facts: GatewayFacts): Finding[] {
  return [
    judgeLog(facts),
    ...judgeReconcilers(facts),
    ...judgeWans(facts),
    ...judgeWaysOut(facts),
    judgeListeners(facts),
    ...judgeVisitors(facts),
    ...judgeRedirect(facts),
    ...judgeProxy(facts),
  ];
}

function judgeLog({ fault, verification }: GatewayFacts): Finding {
  if (fault !== null) return problem("event-log", `the controller is in safe mode: ${fault.message}`, fault.next);
  if (verification?.state === "damaged" || verification?.state === "failed") {
    const fix = "`portreeve status` names the record and the command that mends it";
    return problem("event-log", `the check of the whole log: ${verification.message}`, fix);
  }
  return ok("event-log", verification?.message ?? "the log is being written");
}

function judgeReconcilers({ reconcilers }: GatewayFacts): Finding[] {
  const findings: Finding[] = [];
  for (const { name, level, message, heldBack } of reconcilers) {
    const look = `\`portreeve reconciler show ${name}\` shows the last passes`;
    if (heldBack > 0) {
      const next = `look with \`portreeve reconciler show ${name}\`; \`portreeve reconciler release-brake ${name}\` lets them through`;
      findings.push(problem("delete-brake", `${name} holds back ${heldBack} deletes that no event explains`, next));
    }
    if (level === "degraded") findings.push(problem("reconcilers", `${name}: ${message}`, look));
    if (level === "paused") {
      const next = `\`portreeve reconciler resume ${name}\` ends the pause`;
      findings.push(warning("reconcilers", `${name} is paused, and drift stays: ${message}`, next));
    }
  }
  if (findings.length > 0) return findings;
  return [ok("reconcilers", `${reconcilers.map(({ name }) => name).join(", ")} agree with the kernel`)];
}

/** RFC 6598: between a carrier's NAT and its customers. */
const SHARED = parseIpv4Prefix("100.64.0.0/10");

function judgeWans({ wans }: GatewayFacts): Finding[] {
  if (wans.length === 0) {
    const next = "name them under wan.interfaces, or give the machine a default route";
    return [problem("wan-address", "there is no WAN", next)];
  }
  return wans.map(judgeWan);
}

/** With one WAN its address says enough. */
function judgeWaysOut({ wans, wansNamed }: GatewayFacts): Finding[] {
  if (wans.length < 2) return [];
  const dead = wans.filter(({ gateway }) => gateway === null).map(({ interface: name }) => name);
  if (dead.length > 0) {
    const names = dead.join(", ");
    const message = `${names} ${dead.length === 1 ? "leads" : "lead"} nowhere: no default route in any table`;
    const next = `look with \`ip route show table all default\`; until there is one, devices on it leave by another WAN, and its live flows wait`;
    return [problem("wan-route", message, next)];
  }
  if (!wansNamed) {
    const next = `set wan.interfaces to [${wans.map((each) => each.interface).join(", ")}], the preferred one first`;
    return [warning("wan-route", "a WAN that loses its default route is forgotten, as none is named", next)];
  }
  const ways = wans.map(({ interface: name, gateway }) => (gateway === "link" ? name : `${name} via ${gateway}`));
  return [ok("wan-route", `what has a WAN's address leaves by that WAN: ${ways.join(", ")}`)];
}

function judgeWan({ interface: name, up, addresses, externalAddress }: WanFacts): Finding {
  if (externalAddress !== null) {
    const own = addresses.includes(externalAddress);
    const how = own ? "its own" : "from the configuration, for 1:1 NAT in front of this machine";
    return ok("wan-address", `${name} has public address ${externalAddress}, ${how}`);
  }
  if (!up)
    return problem("wan-address", `${name} is down or not there`, `\`ip link set ${name} up\`, or check the name`);
  const [first] = addresses;
  if (first === undefined) {
    return problem("wan-address", `${name} has no IPv4 address`, "check DHCP or the network configuration");
  }
  const number = parseIpv4(first);
  if (SHARED !== null && number !== null && prefixContains(SHARED, number)) {
    const next =
      "ask the provider for a public address, or run the gateway where there is one: nothing here can open it";
    return problem("wan-address", `${name} has ${first}, an address behind the provider's own NAT (CGNAT)`, next);
  }
  const next =
    "at a cloud with 1:1 NAT set wan.externalAddress to the public address; behind a router of yours put this machine " +
    "in its DMZ and set the same";
  return problem("wan-address", `${name} has ${first}, which the Internet does not reach`, next);
}

function judgeListeners({ listeners }: GatewayFacts): Finding {
  if (listeners.length === 0) return ok("wan-listeners", "no program on this machine listens to the WAN");
  const shown = listeners.slice(0, SHOWN_MAX).map(({ protocol, port }) => `${port}/${protocol}`);
  const more = listeners.length > SHOWN_MAX ? ` and ${listeners.length - SHOWN_MAX} more` : "";
  return ok(
    "wan-listeners",
    `this machine itself listens to the WAN on ${shown.join(", ")}${more}; \`ss -tulpn\` says who`,
  );
}

const SHOWN_MAX = 12;

/** A warning where it cannot work; where it depends on what the device is, it is said and no more. */
function judgeVisitors({ unanswered }: GatewayFacts): Finding[] {
  const inOrder = [...unanswered].sort((a, b) => Number(b.profile === "split") - Number(a.profile === "split"));
  const found = inOrder.slice(0, SHOWN_MAX).map((each) => {
    const { what, fix } = unansweredText(each);
    return each.profile === "split" ? warning("visitors", what, fix) : ok("visitors", `${what}. ${fix}`);
  });
  const [next] = inOrder.slice(SHOWN_MAX);
  if (next === undefined) return found;
  const what = `the same is so of ${inOrder.length - SHOWN_MAX} more forwards to devices in the tunnel`;
  const fix = "`portreeve why device NAME` says which";
  return [...found, next.profile === "split" ? warning("visitors", what, fix) : ok("visitors", `${what}: ${fix}`)];
}

function judgeRedirect({ redirectRivals: rivals }: GatewayFacts): Finding[] {
  if (rivals.length === 0) return [];
  const message = `HTTP is not sent to HTTPS (wan.httpRedirect: on): port 80 is kept by ${rivals[0]}`;
  return [problem("http-redirect", message, "end that, or set wan.httpRedirect to auto", rivals.slice(1, SHOWN_MAX))];
}

/** One that could be started and does not run is the reconciler's to tell. */
function judgeProxy({ proxy }: GatewayFacts): Finding[] {
  if (proxy === null || proxy.missing === null) return [];
  const next = "install the package haproxy (2.6 or newer); what is to go by TLS name is led again within a minute";
  if (!proxy.running)
    return [
      problem("haproxy", `what shares a port by TLS name, and the redirect, reach nobody: ${proxy.missing}`, next),
    ];
  const message = `HAProxy goes on as it runs, and is not started again if it ends: ${proxy.missing}`;
  return [warning("haproxy", message, next)];
}
