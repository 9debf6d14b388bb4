import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { z } from "zod";
import { PortreeveError } from "../../lib/errors.ts";

const run = promisify(execFile);

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
const routeSchema = z.object({ dst: z.string(), dev: z.string().optional(), metric: z.number().optional() });

export interface Link {
  readonly name: string;
  /** Changes when an interface goes and comes back: sockets bound to the old one are deaf. */
  readonly index: number;
  readonly up: boolean;
  /** "192.168.7.1/24", in the kernel's order; global scope, no temporary or tentative ones. */
  readonly addresses: readonly string[];
}

export interface Links {
  readonly links: readonly Link[];
  /** Interfaces of the IPv4 default routes, lowest metric first. */
  readonly defaultRoutes: readonly string[];
}

async function ipJson(args: readonly string[]): Promise<unknown> {
  try {
    const { stdout } = await run("ip", ["-json", ...args], { timeout: 5000, maxBuffer: 16 << 20 });
    return stdout.trim() === "" ? [] : JSON.parse(stdout);
  } catch (cause) {
    throw new PortreeveError("UNAVAILABLE", "`ip` did not list the interfaces; is iproute2 installed?", "transient", {
      cause,
    });
  }
}

/** What the kernel says of all interfaces now. */
export async function readLinks(): Promise<Links> {
  const [rawLinks, rawRoutes] = await Promise.all([
    ipJson(["addr", "show"]),
    ipJson(["-4", "route", "show", "default"]),
  ]);
  const links = z.array(linkSchema).parse(rawLinks).map(toLink);
  const routes = z
    .array(routeSchema)
    .parse(rawRoutes)
    .filter((route) => route.dev !== undefined);
  routes.sort((left, right) => (left.metric ?? 0) - (right.metric ?? 0));
  return { links, defaultRoutes: [...new Set(routes.map((route) => route.dev as string))] };
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

function toLink(link: z.infer<typeof linkSchema>): Link {
  const addresses = link.addr_info.flatMap((address) => {
    if (!("local" in address) || address.scope !== "global") return [];
    if (address.temporary || address.deprecated || address.tentative) return [];
    return [`${address.local}/${address.prefixlen}`];
  });
  return { name: link.ifname, index: link.ifindex, up: link.flags.includes("UP"), addresses };
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
