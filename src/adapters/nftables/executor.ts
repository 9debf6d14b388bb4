import { PortreeveError } from "../../lib/errors.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import {
  commitElements,
  type ElementTarget,
  elementsText,
  reconcileError,
  withExactIntervals,
} from "./element-commit.ts";
import { ElementColumns, type ElementFields, type SetLayout, viaChain } from "./element-columns.ts";
import { type FieldsChange, OPERATIONS, type Operation } from "./element-encoding.ts";
import { listChain, listChains } from "./filter-listing.ts";
import { endFlows } from "./flow-ending.ts";
import type {
  AnchorReply,
  ApplyReply,
  ApplyRequest,
  CallName,
  Calls,
  ExternalPorts,
  OwnedTable,
  Refused,
  TableObservation,
} from "./messages.ts";
import type { Netfilter } from "./netfilter.ts";
import type { Nft } from "./nft-library.ts";
import type { Skeleton } from "./skeleton.ts";
import { fingerprint, hasForeignObjects, listInstance, listShape } from "./table-shape.ts";

interface SkeletonWritten {
  readonly skeletonError: ReconcileError | null;
  readonly shape: string | null;
}

/** Does what is asked of the kernel, one call after the other; without threads, so that tests can run it over fakes. */
export class Executor {
  readonly #nft: Nft;
  readonly #netfilter: Netfilter;
  readonly #prefix: string;
  /** Ports that are forwarded since a moment, and where: flows that were on their way before are still to be judged. */
  #late: { readonly target: ElementTarget; readonly ports: ExternalPorts[] } | null = null;
  /** Tables observed at least once: of what an earlier process made nobody knows whether it got to its late flows. */
  readonly #observed = new Set<string>();

  constructor(nft: Nft, netfilter: Netfilter, prefix: string) {
    this.#nft = nft;
    this.#netfilter = netfilter;
    this.#prefix = prefix;
  }

  call<N extends CallName>(name: N, request: Calls[N]["request"]): Calls[N]["reply"] {
    const call = this.#calls[name] as (request: Calls[N]["request"]) => Calls[N]["reply"];
    return call(request);
  }

  get hasLateFlows(): boolean {
    return this.#late !== null;
  }

  /**
   * Judges the flows of all ports that were newly forwarded since the last time. A listing walks the kernel's whole
   * connection table, which takes longer than a transaction: one for many, instead of one for each.
   */
  endLateFlows(): void {
    const late = this.#late;
    if (late === null) return;
    this.#late = null;
    const error = endFlows(late.target, { severedPorts: [], movedPorts: late.ports, lost: [] });
    if (error?.disposition === "transient") this.#late = late;
  }

  close(): void {
    this.endLateFlows();
    this.#nft.close();
    this.#netfilter.close();
  }

  readonly #calls: { [N in CallName]: (request: Calls[N]["request"]) => Calls[N]["reply"] } = {
    identify: () => ({ library: this.#nft.name, thread: this.#netfilter.generation().thread }),
    observe: ({ table, sets }) => this.#observe(table, sets),
    apply: (request) => this.#apply(request),
    rehearse: (request) => this.#rehearsal().call("apply", request),
    anchor: ({ table, skeleton }) => this.#writeAnchor(table, skeleton),
    tables: () =>
      [...this.#netfilter.tables().keys()]
        .filter((table) => table.startsWith(this.#prefix))
        .map((table) => this.#ownership(table)),
    chains: () => listChains(this.#nft, this.#netfilter),
    chain: (name) => listChain(this.#nft, name),
    transact: ({ commands }) => this.#transact(commands),
  };

  /** The same code over a kernel that commits nothing and has no flows. */
  #rehearsal(): Executor {
    const nft = { ...this.#nft, transact: (commands: string) => this.#nft.rehearse(commands) };
    return new Executor(nft, { ...this.#netfilter, flows: () => [] }, this.#prefix);
  }

  #ownership(table: string): OwnedTable {
    const owner = this.#netfilter.tables().get(table)?.owner ?? null;
    return { table, instanceId: listInstance(this.#nft, table), owner };
  }

  #observe(table: string, sets: readonly SetLayout[]): TableObservation | null {
    const shape = listShape(this.#nft, table);
    if (shape === null) return null;
    const elements = ElementColumns.empty();
    const strays = this.#elements(table, sets, elements);
    if (!this.#observed.has(table)) {
      this.#observed.add(table);
      const present = Array.from({ length: elements.length }, (_, index) => elements.at(index));
      this.#judgeLater({ nft: this.#nft, netfilter: this.#netfilter, table, sets }, forwardsAmong(present, sets));
    }
    return { ...this.#ownership(table), shape: fingerprint(shape), elements: elements.values(), strays };
  }

  #elements(table: string, sets: readonly SetLayout[], into: ElementColumns): number {
    let strays = 0;
    for (const [index, layout] of sets.entries()) strays += this.#netfilter.elements(table, index, layout, into);
    return strays;
  }

  #apply(request: ApplyRequest): ApplyReply {
    const { table, sets, skeleton } = request;
    if (request.instanceId !== null) this.#fence(table, request.instanceId);
    const target = { nft: this.#nft, netfilter: this.#netfilter, table, sets };
    const asked = changesOf(request);
    const changes = withExactIntervals(target, asked);
    let written: SkeletonWritten = { skeletonError: null, shape: null };
    let refused: Refused[] = [];
    if (skeleton === "remove") written = { skeletonError: this.#remove(table), shape: null };
    else if (skeleton === null) refused = commitElements(target, changes);
    else ({ refused, ...written } = this.#writeSkeleton(target, skeleton, changes));
    const among = (operation: Operation, ...names: string[]): ElementFields[] =>
      asked
        .filter((change) => change.operation === operation && names.includes(sets[change.fields.set]?.name ?? ""))
        .map(({ fields }) => fields);
    const { severedPorts, lost } = request;
    // A forward that leads elsewhere contradicts its live flows at once; one that is new, only those on their way to it.
    // So does one that fewer may reach.
    const narrowed = [...among("add", "restricted"), ...among("delete", "allowed", "allowed_ports")];
    const movedPorts = [...among("replace", ...FORWARDING), ...narrowed];
    const flowsError = endFlows(target, { severedPorts, movedPorts, lost });
    this.#judgeLater(target, among("add", ...FORWARDING));
    // The row may look right to whoever retries it, so its flows are not left to that alone.
    if (flowsError?.disposition === "transient") this.#judgeLater(target, movedPorts);
    return { ...written, refused, flowsError };
  }

  #judgeLater(target: ElementTarget, ports: readonly ExternalPorts[]): void {
    if (ports.length === 0) return;
    this.#late ??= { target, ports: [] };
    for (const each of ports) this.#late.ports.push(each);
  }

  /** Another instance may have taken the table over since it was last observed. */
  #fence(table: string, instanceId: string): void {
    const found = listInstance(this.#nft, table);
    if (found === null || found === instanceId) return;
    throw new PortreeveError("FOREIGN_INSTANCE", `table ${table} belongs to instance ${found}`, "terminal");
  }

  #remove(table: string): ReconcileError | null {
    const error = this.#transact(`delete table inet ${table}\n`);
    return error?.code === "ENOENT" ? null : error;
  }

  #writeSkeleton(
    target: ElementTarget,
    skeleton: Skeleton,
    changes: readonly FieldsChange[],
  ): SkeletonWritten & { refused: Refused[] } {
    if (this.#isIntact(target, skeleton)) {
      const whole = this.#transactSkeleton(target.table, skeleton.text + elementsText(target, changes));
      if (whole.skeletonError === null) return { ...whole, refused: [] };
      const alone = this.#transactSkeleton(target.table, skeleton.text);
      if (alone.skeletonError === null) return { ...alone, refused: commitElements(target, changes) };
    }
    const rebuilt = this.#rebuild(target, skeleton);
    // What led to a chain that went is gone with it, and need not be looked for one by one.
    const left = changes.map((change): FieldsChange => {
      const gone = change.operation === "delete" && !leadsSomewhere(target, skeleton, change.fields);
      return gone ? { ...change, operation: "none" } : change;
    });
    return { ...rebuilt, refused: commitElements(target, left) };
  }

  /** Nothing in the table that writing the skeleton over it would leave there. */
  #isIntact({ table, sets }: ElementTarget, skeleton: Skeleton): boolean {
    const shape = listShape(this.#nft, table);
    if (shape === null) return true;
    return !hasForeignObjects(shape, skeleton) && this.#elements(table, sets, ElementColumns.empty()) === 0;
  }

  /** A table that cannot be mended is replaced, with its elements, in one transaction. */
  #rebuild(target: ElementTarget, skeleton: Skeleton): SkeletonWritten {
    const present = ElementColumns.empty();
    this.#elements(target.table, target.sets, present);
    const kept: FieldsChange[] = [];
    for (let index = 0; index < present.length; index += 1) {
      const fields = present.at(index);
      // What leads to a chain that goes would keep all of it from being written.
      if (leadsSomewhere(target, skeleton, fields)) kept.push({ operation: "add", fields });
    }
    const clear = `add table inet ${target.table}\ndelete table inet ${target.table}\n`;
    return this.#transactSkeleton(target.table, clear + skeleton.text + elementsText(target, kept));
  }

  /** With the shape it got, unless another commit came between: then what is read may not be what was written. */
  #transactSkeleton(table: string, commands: string): SkeletonWritten {
    const before = this.#netfilter.generation().id;
    const skeletonError = this.#transact(commands);
    if (skeletonError !== null) return { skeletonError, shape: null };
    const shape = listShape(this.#nft, table);
    const alone = this.#netfilter.generation().id === before + 1;
    return { skeletonError, shape: alone && shape !== null ? fingerprint(shape) : null };
  }

  #writeAnchor(table: string, skeleton: Skeleton | null): AnchorReply {
    if (skeleton === null && !this.#netfilter.tables().has(table)) return { error: null, owner: null };
    const result = this.#nft.transactAsOwner(skeleton?.text ?? `delete table inet ${table}\n`);
    const error = result.ok ? null : reconcileError(result.error);
    return { error, owner: error === null ? (this.#netfilter.tables().get(table)?.owner ?? null) : null };
  }

  #transact(commands: string): ReconcileError | null {
    const result = this.#nft.transact(commands);
    return result.ok ? null : reconcileError(result.error);
  }
}

/** False for a verdict that names a chain which the skeleton does not have. */
function leadsSomewhere({ sets }: ElementTarget, { chains }: Skeleton, { set, toPort }: ElementFields): boolean {
  return sets[set]?.data[0] !== "via" || chains.includes(viaChain(toPort));
}

/** Maps of external ports that lead somewhere. */
const FORWARDING = ["forwards", "ranges"];

function forwardsAmong(elements: readonly ElementFields[], sets: readonly SetLayout[]): ElementFields[] {
  return elements.filter(({ set }) => FORWARDING.includes(sets[set]?.name ?? ""));
}

function changesOf(request: ApplyRequest): FieldsChange[] {
  const columns = new ElementColumns(request.elements);
  return Array.from(request.operations, (operation, index) => ({
    operation: OPERATIONS[operation] as Operation,
    fields: columns.at(index),
  }));
}
