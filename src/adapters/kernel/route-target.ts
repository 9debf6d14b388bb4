import { z } from "zod";
import { unreachable } from "../../lib/assert.ts";
import type { Change, Outcome, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { RouteRow } from "../../reducers/select/rows.ts";
import { type IpBatch, ipBatch } from "./ip-batch.ts";
import { watchLinks } from "./links.ts";
import { ROUTE_PROTOCOL } from "./route-protocol.ts";

/** rtnetlink's RT_SCOPE_LINK: of an address that the kernel gave itself. */
const SCOPE_LINK = "253";
/** An interface that another reconciler is making is there within moments; no promise waits longer than for 5 s. */
const ARRIVAL_MAX_MS = 4000;
/** rtnetlink's RTN_LOCAL. */
const LOCAL = "2";
/** rtnetlink's RTN_UNREACHABLE, and the last metric there is: any other route of the table comes before it. */
const UNREACHABLE = "7";
const LAST_METRIC = 4_294_967_295;
/** In case no hint comes. */
const ARRIVAL_LOOK_MS = 500;
/** One interface that comes up makes a dozen hints. */
const HINT_SETTLE_MS = 200;

const addressesSchema = z.array(
  z.object({
    addr_info: z
      .array(z.object({ local: z.string().optional(), prefixlen: z.number().optional(), scope: z.string().optional() }))
      .default([]),
  }),
);
const number = z.union([z.string(), z.number()]).optional();
const routesSchema = z.array(
  z.object({
    dst: z.string(),
    dev: z.string().optional(),
    gateway: z.string().optional(),
    table: number,
    type: z.string().optional(),
  }),
);
const rulesSchema = z.array(
  z.object({
    priority: z.number(),
    src: z.string().optional(),
    iif: z.string().optional(),
    fwmark: number,
    fwmask: number,
    table: number,
    suppress_prefixlen: z.number().optional(),
    protocol: number,
  }),
);
const neighboursSchema = z.array(z.object({ dst: z.string(), dev: z.string().optional(), protocol: number }));

const MAIN_TABLE = 254;

export interface RouteTargetOptions {
  /** Our WireGuard interface, while it is wanted: all its addresses are ours. */
  readonly tunnel: () => string | null;
  readonly keyOf: (row: RouteRow) => string;
  readonly ip?: IpBatch;
}

/** Addresses of our own WireGuard interface, and routes, rules and NDP proxy entries that bear our protocol number. */
export function createRouteTarget({ tunnel, keyOf, ip = ipBatch }: RouteTargetOptions): Target<RouteRow, RouteRow> {
  let hinted: () => void = () => undefined;
  return {
    name: "routes",
    async observe(signal) {
      const rows = await observeRows(ip, tunnel(), signal);
      return new Map(rows.map((row) => [keyOf(row), row]));
    },
    /** Rows of an interface that is just being made wait for it. */
    async apply(plan, signal) {
      const outcomes = new Map<string, Outcome>();
      const deadline = performance.now() + ARRIVAL_MAX_MS;
      let waiting: readonly Change<RouteRow, RouteRow>[] = plan;
      for (;;) {
        const hint = new Promise<void>((resolve) => {
          hinted = resolve;
        });
        for (const outcome of await applyAll(ip, waiting, signal)) outcomes.set(outcome.key, outcome);
        waiting = waiting.filter(({ key }) => {
          const outcome = outcomes.get(key);
          return outcome?.ok === false && outcome.error.code === "ENODEV";
        });
        const left = Math.min(deadline - performance.now(), ARRIVAL_LOOK_MS);
        if (waiting.length === 0 || left <= 0 || signal.aborted) break;
        await soonest(hint, left);
      }
      return plan.map(({ key }) => outcomes.get(key) as Outcome);
    },
    watch(onDrift) {
      let timer: NodeJS.Timeout | null = null;
      const links = watchLinks(() => {
        hinted();
        timer ??= setTimeout(() => {
          timer = null;
          onDrift("the kernel");
        }, HINT_SETTLE_MS);
      });
      return {
        close: () => {
          if (timer !== null) clearTimeout(timer);
          links.close();
        },
      };
    },
  };
}

/** All that bears our protocol number; what is on an interface of ours goes with it. */
export async function removeRoutes(ip: IpBatch = ipBatch): Promise<void> {
  const { signal } = new AbortController();
  const rows = await observeRows(ip, null, signal);
  await applyAll(
    ip,
    rows.map((observed, index) => ({ op: "delete", key: `${index}`, observed })),
    signal,
  );
}

async function soonest(hint: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([hint, late]);
  clearTimeout(timer);
}

async function observeRows(ip: IpBatch, tunnel: string | null, signal: AbortSignal): Promise<RouteRow[]> {
  const commands = [`route show table all proto ${ROUTE_PROTOCOL}`, "rule show", "neigh show proxy"];
  // An interface that is not there yet has no addresses, and is the only one that can fail.
  if (tunnel !== null) commands.push(`address show dev ${tunnel}`);
  // -N: protocols, scopes and tables as numbers, whatever /etc/iproute2 calls them.
  const { stdout } = await ip(["-N", "-json"], commands, signal);
  const [routes, rules, neighbours, addresses = []] = stdout
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line): unknown => JSON.parse(line));
  return [
    ...routesSchema.parse(routes).map(({ dst, dev = "", gateway = null, table, type }): RouteRow => {
      const prefix = dst === "default" ? (gateway?.includes(":") ? "::/0" : "0.0.0.0/0") : withLength(dst);
      if (type === LOCAL) return { kind: "local", table: Number(table ?? MAIN_TABLE), prefix };
      if (type === UNREACHABLE) return { kind: "unreachable", table: Number(table ?? MAIN_TABLE), prefix };
      return { kind: "route", table: Number(table ?? MAIN_TABLE), prefix, interface: dev, gateway };
    }),
    ...rulesSchema
      .parse(rules)
      .filter(({ protocol }) => Number(protocol) === ROUTE_PROTOCOL)
      .map(({ priority, src = "all", iif, fwmark, fwmask, table, suppress_prefixlen: suppressed }): RouteRow => {
        if (src !== "all") {
          const specific = suppressed === 0;
          return { kind: "source", priority, from: src, table: Number(table ?? MAIN_TABLE), specific };
        }
        const [mark, mask] = [Number(fwmark ?? 0), Number(fwmask ?? 0xffffffff)];
        const marked = { priority, mark, mask, table: Number(table ?? MAIN_TABLE) };
        return iif === undefined ? { kind: "rule", ...marked } : { kind: "arrival", interface: iif, ...marked };
      }),
    ...neighboursSchema
      .parse(neighbours)
      .filter(({ protocol }) => Number(protocol) === ROUTE_PROTOCOL)
      .map(({ dst, dev = "" }): RouteRow => ({ kind: "neighbour", interface: dev, address: dst })),
    ...addressesSchema.parse(addresses).flatMap(({ addr_info }) =>
      addr_info
        .filter(({ local, scope }) => local !== undefined && scope !== SCOPE_LINK)
        .map(({ local, prefixlen }): RouteRow => {
          return { kind: "address", interface: tunnel ?? "", address: `${local}/${prefixlen}` };
        }),
    ),
  ];
}

/** A host's route is printed without its length. */
function withLength(prefix: string): string {
  if (prefix.includes("/")) return prefix;
  return `${prefix}/${prefix.includes(":") ? 128 : 32}`;
}

const hex = (mark: number): string => `0x${(mark >>> 0).toString(16)}`;

/** The command of `ip` that makes a row, or takes it away. */
function commandOf(row: RouteRow, op: "add" | "delete"): string {
  const replace = op === "add" ? "replace" : "delete";
  const ours = `${ROUTE_PROTOCOL}`;
  switch (row.kind) {
    case "address":
      return `address ${replace} ${row.address} dev ${row.interface}`;
    case "route": {
      const via = row.gateway === null ? "" : `via ${row.gateway} `;
      // The main table has a route to the gateway, or says the same of it: another look at that would only fail.
      const onLink = op === "add" && row.gateway !== null ? " onlink" : "";
      return `route ${replace} ${row.prefix} ${via}dev ${row.interface} table ${row.table} proto ${ours}${onLink}`;
    }
    case "unreachable":
      return `route ${replace} unreachable ${row.prefix} table ${row.table} metric ${LAST_METRIC} proto ${ours}`;
    case "local":
      return `route ${replace} local ${row.prefix} dev lo table ${row.table} proto ${ours}`;
    case "source": {
      const only = row.specific ? " suppress_prefixlength 0" : "";
      return `rule ${op} priority ${row.priority} from ${row.from} lookup ${row.table}${only} protocol ${ours}`;
    }
    case "rule":
    case "arrival": {
      const by = row.kind === "arrival" ? `iif ${row.interface} ` : "";
      const mark = `${hex(row.mark)}/${hex(row.mask)}`;
      return `rule ${op} priority ${row.priority} ${by}fwmark ${mark} lookup ${row.table} protocol ${ours}`;
    }
    case "neighbour":
      return `neigh ${replace} proxy ${row.address} dev ${row.interface} protocol ${ours}`;
    default:
      return unreachable(row);
  }
}

async function applyAll(
  ip: IpBatch,
  plan: readonly Change<RouteRow, RouteRow>[],
  signal: AbortSignal,
): Promise<Outcome[]> {
  const steps: { readonly change: Change<RouteRow, RouteRow>; readonly command: string; readonly op: string }[] = [];
  for (const change of plan) {
    // What is there of another content under the same key goes first: `ip rule add` would keep both. A route is replaced
    // where it is: no packet meets the table without it.
    const replaced = change.op === "update" && change.observed.kind === "route";
    if (change.op !== "create" && !replaced)
      steps.push({ change, command: commandOf(change.observed, "delete"), op: "delete" });
    if (change.op !== "delete") steps.push({ change, command: commandOf(change.desired.spec, "add"), op: "add" });
  }
  const commands = steps.map(({ command }) => command);
  const { errors } = await ip([], commands, signal);
  const failures = new Map<string, ReconcileError>();
  for (const [index, said] of errors) {
    const step = steps[index];
    if (step === undefined || isDone(step.op, said)) continue;
    failures.set(step.change.key, asError(step.command, said));
  }
  return plan.map(({ key }): Outcome => {
    const error = failures.get(key);
    return error === undefined ? { key, ok: true } : { key, ok: false, error };
  });
}

/** What is to go is gone, with its interface or without; what is to be there (a rule has no `replace`) is. */
function isDone(op: string, said: string): boolean {
  if (op === "add") return /File exists/.test(said);
  return /No such|not found|Cannot assign|Cannot find|does not exist/.test(said);
}

function asError(command: string, text: string): ReconcileError {
  const code = /Operation not permitted/.test(text)
    ? "EPERM"
    : /Cannot find device|does not exist|No such device/.test(text)
      ? "ENODEV"
      : "EIO";
  return { code, message: `\`ip ${command}\`: ${text}`, disposition: "transient" };
}
