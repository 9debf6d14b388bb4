import { PortreeveError } from "../../lib/errors.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import type { SetLayout } from "./element-columns.ts";
import { FORWARDS_TABLE } from "./forwards-skeleton.ts";
import { GenerationWatch } from "./generation-watch.ts";
import { ANCHOR_TABLE, GUARD_TABLE } from "./guard-skeleton.ts";
import type { ApplyReply, ApplyRequest, CallName, Calls, Identity, OwnedTable, TableObservation } from "./messages.ts";
import { instanceMark, type Skeleton } from "./skeleton.ts";
import { WorkerLink } from "./worker-link.ts";

const PREFIX = FORWARDS_TABLE;
/** For one transaction; a large one may take its time. */
const APPLY_TIMEOUT_MS = 5000;
const APPLY_TIMEOUT_PER_ELEMENT_MS = 1;
const LIST_TIMEOUT_MS = 30_000;

export interface NftablesOptions {
  /** Marks our tables; 16 hex digits. */
  readonly instanceId: string;
}

/** Another instance's tables in this network namespace. */
export interface ForeignInstance {
  readonly instanceId: string;
  /** Its process runs: it holds an anchor. */
  readonly live: boolean;
}

/** What the watch and the link are to this class, so that tests can run it over fakes in one thread. */
export interface KernelLink {
  readonly busy: boolean;
  call<N extends CallName>(name: N, request: Calls[N]["request"], timeoutMs: number): Promise<Calls[N]["reply"]>;
  close(): Promise<void>;
}
export type TableWatch = Pick<GenerationWatch, "setOwn" | "changes" | "doubt" | "onChange" | "close">;

/** Opens nftables without touching anything in the kernel. */
export function openNftables({ instanceId }: NftablesOptions): Promise<Nftables> {
  const watch = new GenerationWatch(PREFIX);
  let nftables: Nftables | undefined;
  const link = new WorkerLink((reason) => nftables?.threadLost(reason));
  nftables = new Nftables(instanceId, link, watch);
  return nftables.identify().then(
    () => nftables,
    async (error: unknown) => {
      await nftables.close();
      throw error;
    },
  );
}

const filtersRouted = ({ base }: FilterChain): boolean =>
  base?.type === "filter" && ["input", "forward", "output"].includes(base.hook);

/** Our tables in the kernel's ruleset. The two targets are made over one of these. */
export class Nftables {
  readonly instanceId: string;
  readonly watch: TableWatch;
  readonly #link: KernelLink;
  #identity: Identity | null = null;
  #identified: Promise<void> | null = null;
  /** Sockets of this process that hold an anchor. A thread's sockets outlive it: the process closes them. */
  readonly #owners = new Set<number>();

  constructor(instanceId: string, link: KernelLink, watch: TableWatch) {
    this.instanceId = instanceId;
    this.#link = link;
    this.watch = watch;
  }

  /** Whether commits of ours can be told from others', so that an observation can be kept. */
  get tracksCommits(): boolean {
    return this.#identity?.library === "libnftables";
  }

  /** Learns how the kernel will name our commits. Needed once for each thread, before its first. */
  identify(): Promise<void> {
    this.#identified ??= this.#link.call("identify", {}, LIST_TIMEOUT_MS).then(
      (identity) => {
        this.#identity = identity;
        const { thread } = identity;
        this.watch.setOwn((committer, name) =>
          this.tracksCommits ? committer === thread : name === "nft" && this.#link.busy,
        );
      },
      (error: unknown) => {
        this.#identified = null;
        throw error;
      },
    );
    return this.#identified;
  }

  /** The thread is gone, and its last transaction may or may not be in the kernel. */
  threadLost(reason: string): void {
    [this.#identity, this.#identified] = [null, null];
    this.watch.setOwn(() => false);
    this.watch.doubt(reason);
  }

  /** Null: there is no such table. Rejects with FOREIGN_INSTANCE if it is another's. */
  async observe(table: string, sets: readonly SetLayout[]): Promise<TableObservation | null> {
    await this.identify();
    const observation = await this.#link.call("observe", { table, sets }, LIST_TIMEOUT_MS);
    if (observation !== null) this.#refuseForeign(observation);
    return observation;
  }

  apply(request: ApplyRequest): Promise<ApplyReply> {
    return this.#change("apply", request);
  }

  /** What `apply` would answer. */
  rehearse(request: ApplyRequest): Promise<ApplyReply> {
    return this.#change("rehearse", request);
  }

  async #change(call: "apply" | "rehearse", request: ApplyRequest): Promise<ApplyReply> {
    await this.identify();
    return this.#link.call(call, request, APPLY_TIMEOUT_MS + request.operations.length * APPLY_TIMEOUT_PER_ELEMENT_MS);
  }

  async writeAnchor(skeleton: Skeleton | null): Promise<ReconcileError | null> {
    await this.identify();
    const { error, owner } = await this.#link.call("anchor", { table: ANCHOR_TABLE, skeleton }, APPLY_TIMEOUT_MS);
    if (owner !== null) this.#owners.add(owner);
    return error;
  }

  /** Looked for at the start, before anything of ours is written. */
  async findForeignInstance(): Promise<ForeignInstance | null> {
    const tables = await this.#tables();
    const foreign = tables.filter((table) => this.#isForeign(table));
    const named = foreign.find(({ instanceId }) => instanceId !== null);
    if (foreign.length === 0) return null;
    return { instanceId: named?.instanceId ?? "unknown", live: tables.some((table) => this.#isOwnedElsewhere(table)) };
  }

  /** Chains that filter what is routed, with all others of their tables: everybody's but ours. */
  async foreignChains(): Promise<FilterChain[]> {
    const heads = (await this.#link.call("chains", {}, LIST_TIMEOUT_MS)).filter(
      ({ family, table }) => family !== "inet" || !table.startsWith(PREFIX),
    );
    const filtering = new Set(heads.filter(filtersRouted).map(({ family, table }) => `${family} ${table}`));
    const chains: FilterChain[] = [];
    for (const { family, table, name } of heads) {
      if (!filtering.has(`${family} ${table}`)) continue;
      const chain = await this.#link.call("chain", { family, table, name }, LIST_TIMEOUT_MS);
      if (chain !== null) chains.push(chain);
    }
    return chains;
  }

  /** Makes what instance `from` left ours: its elements and flows stay. A live one keeps its anchor until it ends. */
  async takeOver(from: string): Promise<void> {
    const tables = await this.#tables();
    const taken = tables.filter(({ instanceId, owner }) => instanceId === from && owner === null);
    if (taken.length === 0) return;
    await this.#demand(`${taken.flatMap(({ table }) => instanceMark(table, this.instanceId)).join("\n")}\n`);
  }

  /** Removes every table of ours. What others made stays, also if it bears our name. */
  async removeAllOurs(): Promise<void> {
    await this.identify();
    const anchor = await this.writeAnchor(null);
    if (anchor !== null) throw new PortreeveError("APPLY_FAILED", `the anchor stays: ${anchor.message}`, "transient");
    const known = [FORWARDS_TABLE, GUARD_TABLE, ANCHOR_TABLE];
    const ours = (await this.#tables()).filter((table) => known.includes(table.table) && !this.#isForeign(table));
    if (ours.length > 0) await this.#demand(ours.map(({ table }) => `delete table inet ${table}\n`).join(""));
  }

  async close(): Promise<void> {
    this.watch.close();
    await this.#link.close();
  }

  #tables(): Promise<readonly OwnedTable[]> {
    return this.#link.call("tables", {}, LIST_TIMEOUT_MS);
  }

  /** One transaction in nft's language, on what is no row. */
  async transact(commands: string): Promise<ReconcileError | null> {
    await this.identify();
    return this.#link.call("transact", { commands }, APPLY_TIMEOUT_MS);
  }

  async #demand(commands: string): Promise<void> {
    const error = await this.transact(commands);
    if (error !== null)
      throw new PortreeveError("APPLY_FAILED", `nftables refused: ${error.message}`, error.disposition);
  }

  /** Another's mark, or an owner that is not this process: a copy of our data directory has our mark. */
  #isForeign(table: OwnedTable): boolean {
    const { instanceId } = table;
    return (instanceId !== null && instanceId !== this.instanceId) || this.#isOwnedElsewhere(table);
  }

  #isOwnedElsewhere({ owner }: OwnedTable): boolean {
    return owner !== null && !this.#owners.has(owner);
  }

  #refuseForeign(table: OwnedTable): void {
    if (!this.#isForeign(table)) return;
    const owner =
      table.instanceId === this.instanceId ? "another process with our data" : `instance ${table.instanceId}`;
    throw new PortreeveError("FOREIGN_INSTANCE", `table ${table.table} belongs to ${owner}`, "terminal");
  }
}
