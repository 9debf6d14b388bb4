import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { z } from "zod";
import type { RouteGateway } from "../../events/fields.ts";
import { ipJson } from "./ip-json.ts";
import { ROUTE_PROTOCOL } from "./route-protocol.ts";

const addressSchema = z.object({
  family: z.string(),
  local: z.string(),
  prefixlen: z.number(),
  scope: z.string().optional(),
  temporary: z.boolean().optional(),
  deprecated: z.boolean().optional(),
  tentative: z.boolean().optional(),
});
const linkSchema = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  flags: z.array(z.string()),
  addr_info: z.array(z.union([addressSchema, z.object({}).strict()])).default([]),
});
const hopSchema = z.object({
  dev: z.string().optional(),
  gateway: z.string().optional(),
  /** A next hop of another family. */
  via: z.unknown().optional(),
  flags: z.array(z.string()).default([]),
});
const routeSchema = hopSchema.extend({
  dst: z.string(),
  metric: z.number().optional(),
  table: z.union([z.string(), z.number()]).optional(),
  protocol: z.union([z.string(), z.number()]).optional(),
  nexthops: z.array(hopSchema).optional(),
});

export interface Link {
  readonly name: string;
  /** Changes when an interface goes and comes back: sockets bound to the old one are deaf. */
  readonly index: number;
  readonly up: boolean;
  /** "192.168.7.1/24", in the kernel's order; global scope, no temporary or tentative ones. */
  readonly addresses: readonly string[];
  /** "fe80::1/64": what hosts call their router by. */
  readonly linkLocal: readonly string[];
  /** Where its IPv4 default route leads; null while it has none. */
  readonly gateway: RouteGateway | null;
}

export interface Links {
  readonly links: readonly Link[];
  /** Interfaces of the IPv4 default routes, lowest metric first. */
  readonly defaultRoutes: readonly string[];
}

/** What the kernel says of all interfaces now. */
export async function readLinks(): Promise<Links> {
  const [rawLinks, rawRoutes] = await Promise.all([
    ipJson(["addr", "show"]),
    ipJson(["-4", "route", "show", "table", "all", "default"]),
  ]);
  const hops = defaultHops(rawRoutes);
  const gateways = new Map(hops.toReversed().flatMap(({ dev, gateway }) => (gateway === null ? [] : [[dev, gateway]])));
  const links = z.array(linkSchema).parse(rawLinks);
  return {
    links: links.map((link) => ({ ...toLink(link), gateway: gateways.get(link.ifname) ?? null })),
    defaultRoutes: [...new Set(hops.filter(({ main }) => main).map(({ dev }) => dev))],
  };
}

interface DefaultHop {
  readonly dev: string;
  /** Null: it leads nowhere now, or by another family. */
  readonly gateway: RouteGateway | null;
  readonly main: boolean;
}

/**
 * Ways out that others have set up, of the main table before all others, lowest metric first. A second uplink's may be
 * in a table of its own.
 */
export function defaultHops(raw: unknown): DefaultHop[] {
  const routes = z
    .array(routeSchema)
    .parse(raw)
    .filter(({ protocol }) => Number(protocol) !== ROUTE_PROTOCOL)
    .map((route) => ({ ...route, main: route.table === undefined || route.table === "main" }));
  routes.sort((left, right) => Number(right.main) - Number(left.main) || (left.metric ?? 0) - (right.metric ?? 0));
  return routes.flatMap(({ main, nexthops, ...route }) =>
    (nexthops ?? [route]).flatMap(({ dev, gateway, via, flags }): DefaultHop[] => {
      if (dev === undefined) return [];
      const leads = via === undefined && !flags.includes("linkdown") && !flags.includes("dead");
      return [{ dev, gateway: leads ? (gateway ?? "link") : null, main }];
    }),
  );
}

const FAMILIES = [
  { option: "-4", everything: "0.0.0.0/0", host: 32 },
  { option: "-6", everything: "::/0", host: 128 },
] as const;

/** The routes of the main table, by prefix. */
export async function readRoutes(): Promise<{ prefix: string; interface: string }[]> {
  // A kernel without IPv6 has no such file, and refuses to be asked.
  const present = existsSync("/proc/net/if_inet6") ? FAMILIES : FAMILIES.slice(0, 1);
  const families = await Promise.all(
    present.map(async ({ option, everything, host }) => {
      const routes = z.array(routeSchema).parse(await ipJson([option, "route", "show"]));
      return routes.flatMap(({ dst, dev }) => {
        if (dev === undefined) return [];
        const prefix = dst === "default" ? everything : dst.includes("/") ? dst : `${dst}/${host}`;
        return [{ prefix, interface: dev }];
      });
    }),
  );
  return families.flat();
}

function toLink(link: z.infer<typeof linkSchema>): Omit<Link, "gateway"> {
  const addressesOf = (scope: string, family?: string): string[] =>
    link.addr_info.flatMap((address) => {
      if (!("local" in address) || address.scope !== scope || address.family !== (family ?? address.family)) return [];
      if (address.temporary || address.deprecated || address.tentative) return [];
      return [`${address.local}/${address.prefixlen}`];
    });
  const [addresses, linkLocal] = [addressesOf("global"), addressesOf("link", "inet6")];
  return { name: link.ifname, index: link.ifindex, up: link.flags.includes("UP"), addresses, linkLocal };
}

/**
 * Ends with us however we end: a monitor that outlives a killed controller would keep the files and sockets it
 * inherited, among them LevelDB's, which opens its files without O_CLOEXEC.
 */
const MONITOR = ["setpriv", ["--pdeathsig", "KILL", "ip", "monitor", "link", "address", "route"]] as const;

/** What a line of the monitor is about: "Deleted 3: wan0@if2: <…>", "3: wan0    inet …", "default via …"; null: more of it. */
export function subjectOf(line: string): string | null {
  return (
    /^(?:Deleted )?(?:\d+: ([^:@\s]+)|(default) )/
      .exec(line)
      ?.slice(1)
      .find((name) => name !== undefined) ?? null
  );
}

/**
 * Calls back after anything about links, addresses or routes may have changed, with the interfaces (and "default" for
 * the default routes) that were named. Only a hint (`ip -json monitor` prints plain text on Debian 12): the listener
 * reads again. A monitor that dies is started again, and counts as a change.
 */
export function watchLinks(onChange: (subjects: readonly string[]) => void): { close(): void } {
  let closed = false;
  let child: ChildProcess | null = null;
  let retry: NodeJS.Timeout | null = null;
  const start = (): void => {
    child = spawn(...MONITOR, { stdio: ["ignore", "pipe", "ignore"] });
    child.stdout?.setEncoding("utf8");
    child.stdout?.on("data", (text: string) => {
      const subjects = text.split("\n").flatMap((line) => subjectOf(line) ?? []);
      onChange([...new Set(subjects)]);
    });
    const again = (): void => {
      if (closed || retry !== null) return;
      retry = setTimeout(() => {
        retry = null;
        start();
        onChange([]);
      }, 1000);
    };
    child.on("error", again);
    child.on("exit", again);
  };
  start();
  return {
    close: () => {
      closed = true;
      if (retry !== null) clearTimeout(retry);
      child?.kill();
    },
  };
}
