import { assert } from "../../lib/assert.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import type { Change, Outcome, Plan, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { ForwardRow } from "../../reducers/select/rows.ts";
import { ElementColumns, FORWARD_SETS } from "./element-columns.ts";
import { OPERATIONS, type Operation } from "./element-encoding.ts";
import { FORWARDS_TABLE, forwardsSkeleton } from "./forwards-skeleton.ts";
import type { ApplyReply, ExternalPorts, TableChange } from "./messages.ts";
import type { Nftables } from "./nftables.ts";
import type { Skeleton } from "./skeleton.ts";
import { TableTracker } from "./table-tracker.ts";
import { addressNumber, fieldsOfRow, protocolNumber, rowOfFields } from "./table-rows.ts";

type ForwardChange = Change<ForwardRow, ForwardRow>;
type SkeletonRow = Extract<ForwardRow, { kind: "skeleton" }>;
type SeveredRow = Extract<ForwardRow, { kind: "severed" }>;

/** A skeleton that is not as we wrote it, or was written by an earlier process: no desired row has this instance id. */
const DRIFTED: SkeletonRow = { kind: "skeleton", instanceId: "", wans: [], lans: [] };

/**
 * Table `portreeve`. `apply` answers when the kernel has the rows and live flows that contradict a changed or severed one
 * have ended; those that were on their way to a port before it was forwarded follow within a moment. A severed row is an
 * act, not a thing in the kernel: it is observed once done, and done again after a start.
 */
export function createForwardsTarget(nft: Nftables): Target<ForwardRow, ForwardRow> {
  const tracker = new TableTracker<SkeletonRow>(nft, FORWARDS_TABLE, FORWARD_SETS);
  const severed = new Map<string, SeveredRow>();

  return {
    name: "nftables-forwards",

    async observe() {
      const observation = await tracker.observe();
      const rows = new Map<string, ForwardRow>(severed);
      if (observation === null) return rows;
      rows.set("skeleton", observation.skeleton ?? DRIFTED);
      const { elements } = observation;
      for (let index = 0; index < elements.length; index += 1) {
        const { key, row } = rowOfFields(elements.at(index));
        rows.set(key, row);
      }
      return rows;
    },

    async apply(plan) {
      const batch = new ForwardBatch(plan);
      const reply = await tracker.apply(batch.change, batch.skeletonRow);
      const outcomes = batch.outcomes(reply);
      for (const [index, change] of plan.entries()) {
        if (!outcomes[index]?.ok || !change.key.startsWith("severed|")) continue;
        if (change.op === "delete") severed.delete(change.key);
        else severed.set(change.key, change.desired.spec as SeveredRow);
      }
      return outcomes;
    },

    async rehearse(plan) {
      const batch = new ForwardBatch(plan);
      return batch.outcomes(await tracker.rehearse(batch.change));
    },

    expected: (spec) => spec,
    unchanged: () => tracker.unchanged(),
    watch: (onDrift) => nft.watch.onChange(FORWARDS_TABLE, onDrift),
  };
}

/** A plan as one request, and its reply as outcomes. */
class ForwardBatch {
  readonly #plan: Plan<ForwardRow, ForwardRow>;
  readonly #columns = ElementColumns.empty();
  readonly #operations: number[] = [];
  /** Index in the plan of each element. */
  readonly #planIndex: number[] = [];
  readonly #severedPorts: ExternalPorts[] = [];
  readonly #lost: number[] = [];
  #skeleton: Skeleton | "remove" | null = null;
  skeletonRow: SkeletonRow | null = null;

  constructor(plan: Plan<ForwardRow, ForwardRow>) {
    this.#plan = plan;
    for (const [index, change] of plan.entries()) this.#add(change, index);
  }

  get change(): TableChange {
    return {
      skeleton: this.#skeleton,
      elements: this.#columns.values(),
      operations: Uint8Array.from(this.#operations),
      severedPorts: this.#severedPorts,
      lost: this.#lost,
    };
  }

  #add(change: ForwardChange, index: number): void {
    const row = change.op === "delete" ? change.observed : change.desired.spec;
    switch (row.kind) {
      case "skeleton":
        this.#skeleton = change.op === "delete" ? "remove" : forwardsSkeleton(row);
        this.skeletonRow = change.op === "delete" ? null : row;
        return;
      case "severed":
        if (change.op !== "delete") this.#sever(row);
        return;
      default: {
        const operation: Operation = change.op === "create" ? "add" : change.op === "update" ? "replace" : "delete";
        this.#columns.push(fieldsOfRow(row));
        this.#operations.push(OPERATIONS.indexOf(operation));
        this.#planIndex.push(index);
      }
    }
  }

  #sever({ address, protocol, port, count }: SeveredRow): void {
    if (count === 0) this.#lost.push(addressNumber(address));
    else {
      this.#severedPorts.push({
        address: isIpv6(address) ? address : addressNumber(address),
        protocol: protocolNumber(protocol),
        firstPort: port,
        lastPort: port + count - 1,
      });
    }
  }

  outcomes(reply: ApplyReply): Outcome[] {
    const errors = new Map<number, ReconcileError>();
    for (const { index, error } of reply.refused) {
      const planned = this.#planIndex[index];
      assert(planned !== undefined, "a refused element was in the plan");
      errors.set(planned, error);
    }
    return this.#plan.map((change, index): Outcome => {
      const error = errors.get(index) ?? this.#sharedError(change, reply);
      return error === null ? { key: change.key, ok: true } : { key: change.key, ok: false, error };
    });
  }

  #sharedError(change: ForwardChange, { skeletonError, flowsError }: ApplyReply): ReconcileError | null {
    if (change.op === "delete") return change.observed.kind === "skeleton" ? skeletonError : null;
    const { kind } = change.desired.spec;
    if (kind === "skeleton") return skeletonError;
    if (kind === "severed") return flowsError;
    // Where the kernel cannot end flows at all, a forward still forwards; where it failed once, a moved one is tried again.
    const moved = change.op === "update" && (kind === "forward" || kind === "range");
    return moved && flowsError?.disposition === "transient" ? flowsError : null;
  }
}
