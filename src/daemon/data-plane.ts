import type { Links } from "../adapters/kernel/links.ts";
import { createSysctlTarget } from "../adapters/kernel/sysctl-target.ts";
import { createForwardsTarget } from "../adapters/nftables/forwards-target.ts";
import { createGuardTarget } from "../adapters/nftables/guard-target.ts";
import { type ForeignInstance, openNftables } from "../adapters/nftables/nftables.ts";
import type { DesiredSource } from "../api/deps.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { Settler } from "../controller/settled-submission.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../lib/metrics.ts";
import type { EngineDeps, RunningReconciler } from "../reconcilers/engine/engine.ts";
import { forwardKeysOf, selectForwards } from "../reducers/select/forward-rows.ts";
import { guardKeysOf, selectGuard } from "../reducers/select/guard-rows.ts";
import { selectSysctls } from "../reducers/select/sysctl-rows.ts";
import type { State } from "../reducers/state.ts";
import { createGatewayReconcilers, sysctlNames } from "./gateway-reconcilers.ts";

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
  const sysctlTarget = createSysctlTarget(sysctlNames(controller));
  const reconcilers = createGatewayReconcilers(
    controller,
    instanceId,
    {
      guard: createGuardTarget(nftables),
      forwards: createForwardsTarget(nftables),
      sysctls: sysctlTarget,
      tunnel: null,
    },
    { clock, random: Math.random, log, metrics, initialized: () => started },
  );
  const { guard, forwards, sysctls } = reconcilers;
  return {
    reconcilers: reconcilers.all,
    desired: [
      { reconciler: forwards.name, select: selectForwards(instanceId), keysOf: forwardKeysOf },
      { reconciler: guard.name, select: selectGuard(instanceId), keysOf: guardKeysOf },
      { reconciler: sysctls.name, select: selectSysctls(), keysOf: () => [] },
    ],
    findForeignInstance: () => nftables.findForeignInstance(),
    takeOver: (from) => nftables.takeOver(from),
    async start() {
      started = true;
      await reconcilers.start();
    },
    interfacesSeen: (links) => sysctlTarget.interfacesSeen(links),
    guarded: () => guard.status("guard")?.kind === "done",
    settled: (seq, signal) => reconcilers.settled(seq, signal),
    effect: (mappingId) => reconcilers.effect(mappingId),
    async close() {
      await reconcilers.close();
      await nftables.close();
    },
  };
}
