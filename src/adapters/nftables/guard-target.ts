import type { Outcome, Plan, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { GuardRow } from "../../reducers/select/rows.ts";
import { formatIpv4 } from "../../lib/ip.ts";
import { ElementColumns, type ElementFields, GUARD_SETS } from "./element-columns.ts";
import { OPERATIONS } from "./element-encoding.ts";
import { ANCHOR_TABLE, anchorSkeleton, GUARD_TABLE, guardSkeleton } from "./guard-skeleton.ts";
import type { ApplyReply, TableChange } from "./messages.ts";
import type { Nftables } from "./nftables.ts";
import { TableTracker } from "./table-tracker.ts";
import { addressNumber } from "./table-rows.ts";

type GuardOnly = Extract<GuardRow, { kind: "guard" }>;
type AnchorRow = Extract<GuardRow, { kind: "anchor" }>;

/** No desired row has this instance id. */
const DRIFTED: GuardOnly = { kind: "guard", instanceId: "", wans: [], lans: [], requestsPerSecond: 0 };

/** Tables `portreeve_guard` and `portreeve_anchor`. `onWritten`: what no row stands for may be gone from the first. */
export function createGuardTarget(nft: Nftables, onWritten = () => {}): Target<GuardRow, GuardRow> {
  const guard = new TableTracker<GuardOnly>(nft, GUARD_TABLE, GUARD_SETS);
  const anchor = new TableTracker<AnchorRow>(nft, ANCHOR_TABLE, []);

  return {
    name: "nftables-guard",

    async observe() {
      const rows = new Map<string, GuardRow>();
      const observation = await guard.observe();
      if (observation !== null) {
        rows.set("guard", observation.skeleton ?? DRIFTED);
        for (let index = 0; index < observation.elements.length; index += 1) {
          const address = formatIpv4(observation.elements.at(index).address);
          rows.set(`holder|${address}`, { kind: "holder", address });
        }
      }
      // Only its owner can change it, so one that is there and ours is as we wrote it.
      if ((await anchor.observe()) !== null) rows.set("anchor", { kind: "anchor", instanceId: nft.instanceId });
      return rows;
    },

    async apply(plan) {
      const errors = new Map<string, ReconcileError>();
      const change = plan.find(({ key }) => key === "anchor");
      if (change !== undefined) {
        const error = await nft.writeAnchor(change.op === "delete" ? null : anchorSkeleton(nft.instanceId));
        if (error !== null) errors.set("anchor", error);
      }
      if (change === undefined || plan.length > 1) await applyGuard(guard, plan, errors);
      if (plan.some(({ key }) => key === "guard")) onWritten();
      return plan.map(({ key }) => outcomeOf(key, errors));
    },

    async rehearse(plan) {
      // Nobody but its owner may so much as ask about the anchor.
      const asked = plan.filter(({ key }) => key !== "anchor");
      const errors = new Map<string, ReconcileError>();
      if (asked.length > 0) {
        const { request, keys } = guardRequest(asked);
        collectErrors(await guard.rehearse(request), keys, errors);
      }
      return plan.map(({ key }) => outcomeOf(key, errors));
    },

    expected: (spec) => spec,
    unchanged: () => guard.unchanged() && anchor.unchanged(),
    watch: (onDrift) => {
      const watches = [nft.watch.onChange(GUARD_TABLE, onDrift), nft.watch.onChange(ANCHOR_TABLE, onDrift)];
      return {
        close: () => {
          for (const watch of watches) watch.close();
        },
      };
    },
  };
}

async function applyGuard(
  guard: TableTracker<GuardOnly>,
  plan: Plan<GuardRow, GuardRow>,
  errors: Map<string, ReconcileError>,
): Promise<void> {
  const { request, keys, row } = guardRequest(plan);
  collectErrors(await guard.apply(request, row), keys, errors);
}

function collectErrors(reply: ApplyReply, keys: readonly string[], errors: Map<string, ReconcileError>): void {
  if (reply.skeletonError !== null) errors.set("guard", reply.skeletonError);
  for (const { index, error } of reply.refused) errors.set(keys[index] as string, error);
}

function outcomeOf(key: string, errors: ReadonlyMap<string, ReconcileError>): Outcome {
  const error = errors.get(key);
  return error === undefined ? { key, ok: true } : { key, ok: false, error };
}

function guardRequest(plan: Plan<GuardRow, GuardRow>): {
  request: TableChange;
  keys: string[];
  row: GuardOnly | null;
} {
  const columns = ElementColumns.empty();
  const operations: number[] = [];
  const keys: string[] = [];
  let skeleton: TableChange["skeleton"] = null;
  let row: GuardOnly | null = null;
  for (const change of plan) {
    const spec = change.op === "delete" ? change.observed : change.desired.spec;
    if (spec.kind === "guard") {
      skeleton = change.op === "delete" ? "remove" : guardSkeleton(spec);
      row = change.op === "delete" ? null : spec;
    } else if (spec.kind === "holder") {
      columns.push(holderFields(spec.address));
      operations.push(OPERATIONS.indexOf(change.op === "delete" ? "delete" : "add"));
      keys.push(change.key);
    }
  }
  const shared = {
    elements: columns.values(),
    operations: Uint8Array.from(operations),
    severedPorts: [],
    lost: [],
  };
  return { request: { skeleton, ...shared }, keys, row };
}

const holderFields = (address: string): ElementFields => ({
  set: 0,
  address: addressNumber(address),
  protocol: 0,
  firstPort: 0,
  lastPort: 0,
  toAddress: 0,
  toPort: 0,
  sourcePort: 0,
});
