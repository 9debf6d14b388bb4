import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";
import type { Change, Outcome, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { RouteRow } from "../../reducers/select/rows.ts";
import { watchLinks } from "./links.ts";

const run = promisify(execFile);

/** Marks our routes and rules: rtnetlink's protocol numbers from 128 on are free for programs; others leave these alone. */
export const ROUTE_PROTOCOL = 191;

const addressesSchema = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z
      .array(z.object({ local: z.string().optional(), prefixlen: z.number().optional(), scope: z.string().optional() }))
      .default([]),
  }),
);
const routesSchema = z.array(
  z.object({
    dst: z.string(),
    dev: z.string().optional(),
    gateway: z.string().optional(),
    table: z.union([z.string(), z.number()]).optional(),
  }),
);
const rulesSchema = z.array(
  z.object({
    priority: z.number(),
    fwmark: z.string().optional(),
    fwmask: z.string().optional(),
    table: z.union([z.string(), z.number()]).optional(),
    protocol: z.union([z.string(), z.number()]).optional(),
  }),
);

/** Names that iproute2 prints for the tables every kernel has. */
const TABLES: Readonly<Record<string, number>> = { main: 254, local: 255, default: 253 };
const tableNumber = (table: string | number | undefined): number =>
  table === undefined ? 254 : (TABLES[String(table)] ?? Number(table));

async function ipJson(args: readonly string[], signal: AbortSignal): Promise<unknown> {
  // -N: protocols and tables as numbers, whatever /etc/iproute2 calls them.
  const { stdout } = await run("ip", ["-N", "-json", ...args], { signal, timeout: 5000, maxBuffer: 16 << 20 });
  return stdout.trim() === "" ? [] : JSON.parse(stdout);
}

/**
 * Addresses of our own WireGuard interface (all of them are ours), and routes and rules that bear our protocol number.
 * `tunnel`: that interface, while it is wanted.
 */
export function createRouteTarget(
  tunnel: () => string | null,
  keyOf: (row: RouteRow) => string,
): Target<RouteRow, RouteRow> {
  return {
    name: "routes",
    async observe(signal) {
      const rows = [...(await observeAddresses(tunnel(), signal)), ...(await observeRouting(signal))];
      return new Map(rows.map((row) => [keyOf(row), row]));
    },
    async apply(plan, signal) {
      const outcomes: Outcome[] = [];
      for (const change of plan) outcomes.push(await applyOne(change, signal));
      return outcomes;
    },
    watch(onDrift) {
      return watchLinks(() => onDrift("the kernel"));
    },
  };
}

async function observeAddresses(tunnel: string | null, signal: AbortSignal): Promise<RouteRow[]> {
  if (tunnel === null) return [];
  // An interface that is not there yet has no addresses: the error of the one row says so.
  const found = await ipJson(["address", "show", "dev", tunnel], signal).catch(() => []);
  return addressesSchema.parse(found).flatMap(({ addr_info }) =>
    addr_info
      .filter(({ local, scope }) => local !== undefined && scope !== "link")
      .map(({ local, prefixlen }): RouteRow => {
        return { kind: "address", interface: tunnel, address: `${local}/${prefixlen}` };
      }),
  );
}

async function observeRouting(signal: AbortSignal): Promise<RouteRow[]> {
  const rows: RouteRow[] = [];
  for (const family of ["-4", "-6"]) {
    const listed = await ipJson([family, "route", "show", "table", "all", "proto", `${ROUTE_PROTOCOL}`], signal);
    for (const { dst, dev = "", gateway = null, table } of routesSchema.parse(listed)) {
      const prefix = dst === "default" ? (family === "-4" ? "0.0.0.0/0" : "::/0") : withLength(dst);
      rows.push({ kind: "route", table: tableNumber(table), prefix, interface: dev, gateway });
    }
  }
  for (const rule of rulesSchema.parse(await ipJson(["-4", "rule", "show"], signal))) {
    if (Number(rule.protocol) !== ROUTE_PROTOCOL) continue;
    const [mark, mask] = [Number(rule.fwmark ?? 0), Number(rule.fwmask ?? 0xffffffff)];
    rows.push({ kind: "rule", priority: rule.priority, mark, mask, table: tableNumber(rule.table) });
  }
  return rows;
}

/** A host's route is printed without its length. */
function withLength(prefix: string): string {
  if (prefix.includes("/")) return prefix;
  return `${prefix}/${prefix.includes(":") ? 128 : 32}`;
}

const hex = (mark: number): string => `0x${(mark >>> 0).toString(16)}`;

/** The words after `ip` that name a row. */
function wordsOf(row: RouteRow, op: "add" | "delete"): string[] {
  switch (row.kind) {
    case "address":
      return ["address", op === "add" ? "replace" : "delete", row.address, "dev", row.interface];
    case "route": {
      const via = row.gateway === null ? [] : ["via", row.gateway];
      const route = [row.prefix, ...via, "dev", row.interface, "table", `${row.table}`, "proto", `${ROUTE_PROTOCOL}`];
      return [row.prefix.includes(":") ? "-6" : "-4", "route", op === "add" ? "replace" : "delete", ...route];
    }
    case "rule": {
      const rule = ["priority", `${row.priority}`, "fwmark", `${hex(row.mark)}/${hex(row.mask)}`];
      return ["-4", "rule", op, ...rule, "lookup", `${row.table}`, "protocol", `${ROUTE_PROTOCOL}`];
    }
    case "neighbour":
      return ["-6", "neigh", op === "add" ? "replace" : "delete", "proxy", row.address, "dev", row.interface];
    default:
      return row satisfies never;
  }
}

async function applyOne(change: Change<RouteRow, RouteRow>, signal: AbortSignal): Promise<Outcome> {
  const { key } = change;
  const steps: string[][] = [];
  // A rule or route of another content under the same key goes first: `ip rule add` would keep both.
  if (change.op !== "create") steps.push(wordsOf(change.observed, "delete"));
  if (change.op !== "delete") steps.push(wordsOf(change.desired.spec, "add"));
  for (const [index, words] of steps.entries()) {
    const error = await ip(words, signal);
    const gone =
      index === 0 && change.op !== "create" && error !== null && /No such|Cannot assign|Cannot find/.test(error);
    if (error !== null && !gone) return { key, ok: false, error: asError(words, error) };
  }
  return { key, ok: true };
}

/** What `ip` said, if it failed. */
function ip(words: readonly string[], signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn("ip", [...words], { stdio: ["ignore", "ignore", "pipe"], signal, timeout: 5000 });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    child.on("error", (cause) => resolve(cause.message));
    child.on("close", (code) => resolve(code === 0 ? null : text.trim() || `ip ended with ${code}`));
  });
}

function asError(words: readonly string[], text: string): ReconcileError {
  const code = /Operation not permitted/.test(text) ? "EPERM" : /Cannot find device/.test(text) ? "ENODEV" : "EIO";
  return { code, message: `\`ip ${words.join(" ")}\`: ${text}`, disposition: "transient" };
}
