import type { ReconcilerDefinition, Rehearsing } from "../../../../src/reconcilers/contract.ts";
import { createReconciler, type RunningReconciler } from "../../../../src/reconcilers/engine/engine.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import { createMetrics, type Metrics } from "../../../../src/lib/metrics.ts";
import { type FakeState, FakeStates } from "../desired-states.ts";
import { FAKE_DEFINITION, FakeTarget, type ObservedSlotted, type Slotted } from "../fake-target.ts";

type Definition = ReconcilerDefinition<FakeState, Slotted, ObservedSlotted>;

export interface Rig {
  readonly clock: ManualClock;
  readonly states: FakeStates;
  readonly target: FakeTarget;
  readonly metrics: Metrics;
  readonly logged: { readonly message: string; readonly fields: object }[];
  readonly reconciler: RunningReconciler & Rehearsing<FakeState, Slotted>;
  initialized: boolean;
  /** Another process over the same target and the same states. */
  restart(): Rig;
}

export interface RigOptions {
  readonly keeps?: boolean;
  readonly definition?: Partial<Definition>;
  /** The same in every call: 0 means no jitter. */
  readonly random?: () => number;
}

/** A reconciler over a fake target, fake states and a clock that stands still. Not started. */
export function makeRig(options: RigOptions = {}, before?: Rig): Rig {
  const states = before?.states ?? new FakeStates();
  const target = before?.target ?? new FakeTarget({ keeps: options.keeps ?? true });
  const clock = before?.clock ?? new ManualClock();
  const metrics = createMetrics();
  const logged: Rig["logged"] = [];
  const definition: Definition = {
    ...(FAKE_DEFINITION as Omit<Definition, "select">),
    select: (state) => state.table,
    explained: (state, key) => state.ended.has(key),
    ...options.definition,
  };
  if (before !== undefined) states.forgetAncestors();
  const rig: Rig = {
    clock,
    states,
    target,
    metrics,
    logged,
    initialized: true,
    reconciler: createReconciler(definition, target, {
      clock,
      random: options.random ?? (() => 0),
      log: { warn: (fields, message) => void logged.push({ fields, message }) },
      metrics,
      states,
      initialized: () => rig.initialized,
      pausedUntil: (state) => state.pausedUntil,
    }),
    restart: () => makeRig(options, rig),
  };
  return rig;
}

/** Everything that waits for nothing but promises has happened. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export const NEVER = new AbortController().signal;

/** The rows `prefix0`…, each in a slot of its own. */
export function rowsNamed(prefix: string, count: number, firstSlot = 0): Record<string, Slotted> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${prefix}${index}`,
      { slot: firstSlot + index, value: `${prefix}${index}` },
    ]),
  );
}

/** What the states want, read past the table's own methods. */
export function wanted(states: FakeStates): Record<string, Slotted> {
  return Object.fromEntries(states.state.table.sorted.map((row) => [row.key, row.spec]));
}
