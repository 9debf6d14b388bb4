import type { Links } from "../adapters/kernel/links.ts";
import { createSysctlTarget } from "../adapters/kernel/sysctl-target.ts";
import { createForwardsTarget } from "../adapters/nftables/forwards-target.ts";
import { createGuardTarget } from "../adapters/nftables/guard-target.ts";
import { type ForeignInstance, openNftables } from "../adapters/nftables/nftables.ts";
import type { DesiredSource } from "../api/deps.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../lib/metrics.ts";
import { tableGet } from "../lib/table.ts";
import { createReconciler, type EngineDeps, type RunningReconciler } from "../reconcilers/engine/engine.ts";
import { nftablesForwards } from "../reconcilers/nftables-forwards.ts";
import { nftablesGuard } from "../reconcilers/nftables-guard.ts";
import { sysctls } from "../reconcilers/sysctls.ts";
import { forwardKeysOf, selectForwards } from "../reducers/select/forward-rows.ts";
import { guardKeysOf, selectGuard } from "../reducers/select/guard-rows.ts";
import { selectSysctls } from "../reducers/select/sysctl-rows.ts";
import type { State } from "../reducers/state.ts";
import type { Settler } from "../controller/settled-submission.ts";

export interface DataPlaneOptions {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: EngineDeps<State>["log"];
  /** Marks everything of ours in the kernel. */
  readonly instanceId: string;
}

/** The reconcilers of the gateway role over the real kernel. */
export interface DataPlane extends Settler {
  readonly reconcilers: readonly RunningReconciler[];
  readonly desired: readonly DesiredSource[];
  findForeignInstance(): Promise<ForeignInstance | null>;
  takeOver(instanceId: string): Promise<void>;
  /** First passes, the guard's before the others'. Failures are in the reconcilers' health. */
  start(): Promise<void>;
  /** Told of every reading of the kernel's interfaces. */
  interfacesSeen(links: Links): void;
  /** Whether the guard is in the kernel, so that sockets may open. */
  guarded(): boolean;
  close(): Promise<void>;
}

/** Opens the way to the kernel and changes nothing in it before `start`. */
export async function openDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { controller, clock, metrics, log, instanceId } = options;
  const nftables = await openNftables({ instanceId });
  let started = false;
  const deps = (name: string): EngineDeps<State> => ({
    clock,
    random: Math.random,
    log,
    metrics,
    states: controller,
    initialized: () => started,
    pausedUntil: (state) => state.pauses[name] ?? null,
  });
  const sysctlRows = sysctls();
  const names = (): Iterable<string> => [...sysctlRows.select(controller.state).rows()].map((row) => row.key);
  const guard = createReconciler(nftablesGuard(instanceId), createGuardTarget(nftables), deps("nftables-guard"));
  const forwards = createReconciler(
    nftablesForwards(instanceId),
    createForwardsTarget(nftables),
    deps("nftables-forwards"),
  );
  const sysctlTarget = createSysctlTarget(names);
  const parameters = createReconciler(sysctlRows, sysctlTarget, deps("sysctls"));
  const reconcilers = [guard, forwards, parameters];
  return {
    reconcilers,
    desired: [
      { reconciler: forwards.name, select: selectForwards(instanceId), keysOf: forwardKeysOf },
      { reconciler: guard.name, select: selectGuard(instanceId), keysOf: guardKeysOf },
      { reconciler: parameters.name, select: selectSysctls(), keysOf: () => [] },
    ],
    findForeignInstance: () => nftables.findForeignInstance(),
    takeOver: (from) => nftables.takeOver(from),
    async start() {
      started = true;
      await guard.start();
      await Promise.all([forwards.start(), parameters.start()]);
    },
    interfacesSeen: (links) => sysctlTarget.interfacesSeen(links),
    guarded: () => guard.status("guard")?.kind === "done",
    async settled(seq, signal) {
      // Not the guard: it gives a device its share of requests, and no forward depends on that.
      await Promise.all([forwards.settled(seq, signal), parameters.settled(seq, signal)]);
    },
    effect(mappingId) {
      const mapping = tableGet(controller.state.mappings, mappingId);
      if (mapping === undefined) return { kind: "effective" };
      let pending = false;
      for (const key of forwardKeysOf(controller.state, mapping)) {
        const status = forwards.status(key);
        if (status?.error) return { kind: "refused", message: status.error.message };
        if (status !== undefined && status.kind !== "done") pending = true;
      }
      return { kind: pending ? "pending" : "effective" };
    },
    async close() {
      await Promise.all(reconcilers.map((reconciler) => reconciler.close()));
      await nftables.close();
    },
  };
}
