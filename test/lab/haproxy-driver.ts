import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HaproxyTargetOptions, RouteHits } from "../../src/adapters/haproxy/target.ts";
import { type SniRow, sniRowKey } from "../../src/lib/sni-row.ts";
import type { Change, Desired, Outcome, PassReport, ReconcileError } from "../../src/reconcilers/contract.ts";
import type { SniObservation } from "../../src/reconcilers/sni-routes.ts";
import type { RouteRow } from "../../src/reducers/select/rows.ts";
import { Driver } from "./driver.ts";
import type { Host } from "./topology.mjs";

type Settings = Pick<HaproxyTargetOptions, "limits" | "answerWithinMs">;
export type SniChange = Change<SniRow, SniObservation>;

/** The HAProxy target in a process of its own. Killed or closed, HAProxy stays. */
export class HaproxyDriver extends Driver {
  constructor(host: Host, instanceId: string, runtimeDir: string, settings: Settings = {}) {
    super(host, "haproxy-driver.mjs", [instanceId, runtimeDir, JSON.stringify(settings)]);
  }

  /** What ought to be, from now on; resolves with its number. */
  want = (rows: readonly Desired<SniRow>[]): Promise<number> => this.call("want", { rows });
  observe = (): Promise<Record<string, SniObservation>> => this.call("observe");
  apply = (plan: readonly SniChange[]): Promise<Outcome[]> => this.call("apply", { plan });
  available = (): Promise<boolean> => this.call("available");
  hits = (): Promise<Record<string, RouteHits>> => this.call("hits");
  watch = (): Promise<void> => this.call("watch");
  drifts = (): Promise<string[]> => this.call("drifts");
  takeOver = (from: string): Promise<void> => this.call("takeOver", { from });
  teardown = (): Promise<void> => this.call("teardown");
  /** Begins to reconcile, as the daemon does. */
  start = (): Promise<PassReport> => this.call("start");
  /** What failed, when all up to `seq` was tried. */
  settled = (seq: number): Promise<Record<string, ReconcileError>> => this.call("settled", { seq });
  /** Makes the way back to HAProxy from these interfaces, and tells what is there then. */
  returnPath = (served: readonly string[]): Promise<RouteRow[]> => this.call("returnPath", { served });
  removeRoutes = (): Promise<void> => this.call("removeRoutes");
  passes = (): Promise<PassReport[]> => this.call("passes");
}

export const desired = (spec: SniRow): Desired<SniRow> => ({
  key: sniRowKey(spec),
  spec,
  owners: ["test"],
  revision: 1,
});

/** A runtime directory that HAProxy's user is not let into, as is usual for one of root's. */
export function runtimeFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "portreeve-haproxy-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Process ids of the HAProxies of a host. */
export function haproxiesOf(host: Host): number[] {
  const pids = execFileSync("ip", ["netns", "pids", host.namespace], { encoding: "utf8" }).split("\n").filter(Boolean);
  const named = pids.filter((pid) => {
    try {
      return execFileSync("ps", ["-o", "comm=", "-p", pid], { encoding: "utf8" }).trim() === "haproxy";
    } catch {
      return false;
    }
  });
  return named.map(Number);
}
