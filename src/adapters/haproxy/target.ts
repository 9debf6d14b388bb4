import type { SniRow } from "../../lib/sni-row.ts";
import type { Outcome, Plan, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { SniObservation } from "../../reconcilers/sni-routes.ts";
import type { ProxyCondition } from "../../lib/proxy-condition.ts";
import { FILES, haproxyConfig, LIMITS, limitsWithin, type ProxyLimits } from "./config.ts";
import { type Conversation, converse } from "./conversation.ts";
import { differences, entriesAfter, fingerprintOf } from "./differences.ts";
import { HaproxyFolder, removeFolder } from "./folder.ts";
import { InstalledHaproxy } from "./installed.ts";
import { entriesOf, faultOf, type ListedEntry, rowsOf, segmentsOf } from "./maps.ts";
import { openFilesMax } from "./open-files.ts";
import { type HaproxyProgram, haproxyProgram } from "./process.ts";
import { GONE, NOT_KEPT, notInstalled, Refused, reconcileError } from "./refusal.ts";

type SniPlan = Plan<SniRow, SniObservation>;

/** How soon a change by others is noticed; HAProxy tells nobody of changes to its maps. */
const POLL_MS = 500;
/** A long list takes longer to look at, so we look less often. */
const POLL_MS_PER_ENTRY = 0.1;
/** It answers within milliseconds, or hangs, and is replaced. */
const ANSWER_WITHIN_MS = 2000;
/** One that ends as soon as it has started is not started more often. */
const START_EVERY_MS = 1000;
/** HAProxy does not tell who changed it. */
const STRANGER = "another program";

export interface HaproxyTargetOptions {
  /** Marks the HAProxy that is ours, in its command line and in what it says of itself. */
  readonly instanceId: string;
  readonly runtimeDir: string;
  readonly limits?: ProxyLimits;
  readonly installed?: InstalledHaproxy;
  readonly program?: HaproxyProgram;
  readonly pollMs?: number;
  readonly answerWithinMs?: number;
}

export interface RouteHits {
  /** Connections since HAProxy runs. */
  readonly total: number;
  readonly open: number;
}

export interface HaproxyTarget extends Target<SniRow, SniObservation> {
  /** Whether there is a HAProxy that can do it. */
  available(): boolean;
  condition(): ProxyCondition;
  /** Resolves once that is known. */
  known(): Promise<void>;
  /** By row key, of routes and fallbacks that had any. */
  hits(): Promise<ReadonlyMap<string, RouteHits>>;
  /** Ends the HAProxy of another instance. */
  takeOver(instanceId: string): Promise<void>;
}

/** Ends the HAProxy of an instance, in our network namespace, and removes its folder. */
export async function removeHaproxy(instanceId: string): Promise<void> {
  for (const { folder } of await haproxyProgram.end(instanceId)) await removeFolder(folder, instanceId);
}

export function createHaproxyTarget(options: HaproxyTargetOptions): HaproxyTarget {
  return new MapsTarget(options);
}

class MapsTarget implements HaproxyTarget {
  readonly name = "haproxy";
  readonly #options: HaproxyTargetOptions;
  readonly #installed: InstalledHaproxy;
  readonly #program: HaproxyProgram;
  readonly #folder: HaproxyFolder;
  readonly #config: { readonly text: string; readonly description: string };
  #conversation: Conversation | null = null;
  #reaching: Promise<Conversation | null> | null = null;
  /** Of all that HAProxy had when we last looked or wrote. */
  #fingerprint = "";
  #size = 0;
  #doubt = true;
  /** Counts looks and writes, so that a poll which overlaps one says nothing. */
  #turn = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  #onDrift: ((by: string) => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: HaproxyTargetOptions) {
    this.#options = options;
    this.#installed = options.installed ?? new InstalledHaproxy();
    this.#program = options.program ?? haproxyProgram;
    this.#folder = new HaproxyFolder(options.runtimeDir, options.instanceId);
    this.#config = haproxyConfig(options.instanceId, limitsWithin(options.limits ?? LIMITS, openFilesMax()));
  }

  /** What runs goes on without its program, as while a package is replaced. */
  available(): boolean {
    return this.#installed.known.able || this.#conversation?.closed === false;
  }

  condition(): ProxyCondition {
    const { known } = this.#installed;
    return { running: this.#conversation?.closed === false, missing: known.able ? null : known.why };
  }

  async known(): Promise<void> {
    await this.#installed.look();
  }

  async observe(): Promise<ReadonlyMap<string, SniObservation>> {
    return await this.#inTurn(async () => {
      const conversation = await this.#reach();
      if (conversation === null) {
        this.#remember([]);
        return new Map();
      }
      const entries = await conversation.entries();
      this.#remember(entries);
      const rows = rowsOf(entries);
      rows.set("proxy", this.#proxyRow(conversation, entries));
      return rows;
    });
  }

  expected = (spec: SniRow): SniObservation => (spec.kind === "proxy" ? { ...spec, current: true } : spec);

  unchanged(): boolean {
    return !this.#doubt;
  }

  async apply(plan: SniPlan): Promise<readonly Outcome[]> {
    if (plan.length === 0) return [];
    return await this.#inTurn(async () => {
      // Until it is known again what is there, nothing is: we may be interrupted anywhere.
      this.#doubt = true;
      const proxy = plan.find(({ key }) => key === "proxy");
      if (proxy?.op === "delete") return await this.#end(plan);
      const errors = new Map<string, ReconcileError>();
      for (const change of plan) {
        const fault = change.op === "delete" ? null : faultOf(change.desired.spec);
        if (fault !== null) errors.set(change.key, { code: "EINVAL", message: fault, disposition: "terminal" });
      }
      try {
        if (proxy !== undefined && !errors.has("proxy")) await this.#ensure(plan, errors);
        await this.#write(plan, errors);
      } catch (error) {
        this.#doubt = true;
        const all = reconcileError(error);
        for (const { key } of plan) if (!errors.has(key)) errors.set(key, all);
      }
      return plan.map(({ key }): Outcome => {
        const error = errors.get(key);
        return error === undefined ? { key, ok: true } : { key, ok: false, error };
      });
    });
  }

  watch(onDrift: (by: string) => void): { close(): void } {
    this.#onDrift = onDrift;
    this.#schedule();
    return {
      close: () => {
        this.#onDrift = null;
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = null;
        this.#conversation?.close();
      },
    };
  }

  async hits(): Promise<ReadonlyMap<string, RouteHits>> {
    const conversation = await this.#reach();
    if (conversation === null) return new Map();
    const [hits, entries] = await Promise.all([conversation.hits(), conversation.entries()]);
    const byKey = new Map(hits.map(({ key, total, open }) => [key, { total, open }]));
    const found = new Map<string, RouteHits>();
    for (const [key, row] of rowsOf(entries)) {
      const [entry] = row.kind === "route" || row.kind === "fallback" ? entriesOf(row) : [];
      const hit = entry === undefined ? undefined : byKey.get(entry.key);
      if (hit !== undefined) found.set(key, hit);
    }
    return found;
  }

  takeOver = (instanceId: string): Promise<void> => removeHaproxy(instanceId);

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    this.#turn += 1;
    try {
      return await act();
    } finally {
      this.#turn += 1;
    }
  }

  /** The HAProxy that is ours; it may have run before we did. */
  async #reach(): Promise<Conversation | null> {
    if (this.#conversation?.closed === false) return this.#conversation;
    this.#reaching ??= this.#connect().finally(() => {
      this.#reaching = null;
    });
    return await this.#reaching;
  }

  async #connect(): Promise<Conversation | null> {
    const { instanceId, answerWithinMs = ANSWER_WITHIN_MS } = this.#options;
    const { socket } = this.#folder;
    let conversation: Conversation | null = null;
    conversation = await converse({ socket, instanceId, answerWithinMs }, () => {
      if (conversation === null || this.#conversation !== conversation) return;
      this.#conversation = null;
      this.#drifted("whoever ended HAProxy");
    });
    this.#conversation = conversation;
    return conversation;
  }

  #proxyRow({ description }: Conversation, entries: readonly ListedEntry[]): SniObservation {
    const { instanceId } = this.#options;
    const current = description === this.#config.description;
    return { kind: "proxy", instanceId, segments: segmentsOf(entries), current };
  }

  #remember(entries: readonly ListedEntry[]): void {
    this.#fingerprint = fingerprintOf(entries);
    this.#size = entries.length;
    this.#doubt = false;
  }

  /** Without routes nothing has to run; what still went through it ends with it. */
  async #end(plan: SniPlan): Promise<readonly Outcome[]> {
    this.#conversation = null;
    await this.#program.end(this.#options.instanceId);
    await this.#folder.remove();
    this.#startedAt = Number.NEGATIVE_INFINITY;
    this.#remember([]);
    return plan.map(({ op, key }): Outcome => {
      return op === "delete" ? { key, ok: true } : { key, ok: false, error: GONE };
    });
  }

  /** Sees to it that one runs, as this version would start it, and with the plan's rows from its first moment on. */
  async #ensure(plan: SniPlan, errors: ReadonlyMap<string, ReconcileError>): Promise<void> {
    const before = await this.#reach();
    if (before?.description === this.#config.description) return;
    const installed = await this.#installed.look();
    if (!installed.able) throw new Refused(notInstalled(installed.why));
    if (performance.now() < this.#startedAt + START_EVERY_MS) throw new Refused(GONE);
    this.#startedAt = performance.now();
    const user = await this.#program.user();
    await this.#folder.prepare(this.#config.text, user);
    await this.#folder.keep(entriesAfter(before === null ? [] : await before.entries(), plan, errors));
    const { instanceId } = this.#options;
    const start = async (): Promise<void> => {
      const replaced = (await this.#program.running(instanceId)).map(({ pid }) => pid);
      await this.#program.start({ folder: this.#folder.path, instanceId, user, replaced });
    };
    // The new one answers on the socket from here on.
    this.#conversation = null;
    before?.close();
    try {
      await start();
    } catch (error) {
      // One of ours that hangs holds the ports, and does not let go of them when asked. One that answers goes on.
      if (before !== null || (await this.#program.end(instanceId)).length === 0) throw error;
      await start();
    }
    const started = await this.#reach();
    if (started === null) throw new Refused(GONE);
    this.#remember(await started.entries());
  }

  /** By differences from what is there now. What was asked for counts as done when it is seen to be there. */
  async #write(plan: SniPlan, errors: Map<string, ReconcileError>): Promise<void> {
    const conversation = await this.#reach();
    if (conversation === null) {
      const { known } = this.#installed;
      throw new Refused(known.able ? GONE : notInstalled(known.why));
    }
    const before = await conversation.entries();
    const untouched = fingerprintOf(before) === this.#fingerprint;
    const commands = differences(before, plan, errors);
    const answers = await conversation.run(commands.map(({ command }) => command));
    const after = await conversation.entries();
    await this.#folder.keep(after);
    await conversation.forget(keysGone(before, after));
    this.#remember(after);
    if (!untouched) this.#drifted(STRANGER);
    const said = new Map(commands.map(({ key }, index) => [key, answers[index]]));
    for (const { key } of differences(after, plan, errors)) {
      const message = said.get(key) || NOT_KEPT.message;
      errors.set(key, { ...NOT_KEPT, message });
    }
  }

  #schedule(): void {
    const ms = Math.max(this.#options.pollMs ?? POLL_MS, this.#size * POLL_MS_PER_ENTRY);
    this.#timer = setTimeout(() => void this.#poll(), ms).unref();
  }

  async #poll(): Promise<void> {
    const [conversation, turn] = [this.#conversation, this.#turn];
    // Odd: a look or a write is going on.
    if (conversation !== null && !this.#doubt && turn % 2 === 0) {
      const entries = await conversation.entries().catch(() => null);
      if (turn === this.#turn && entries !== null && fingerprintOf(entries) !== this.#fingerprint) {
        this.#drifted(STRANGER);
      }
    }
    if (this.#onDrift !== null) this.#schedule();
  }

  #drifted(by: string): void {
    this.#doubt = true;
    this.#onDrift?.(by);
  }
}

/** Keys of routes that are no more: what is counted of them is forgotten, in case they come back as somebody else's. */
function keysGone(before: readonly ListedEntry[], after: readonly ListedEntry[]): string[] {
  const left = new Set(after.map(({ map, key }) => `${map} ${key}`));
  return before.filter(({ map, key }) => map === FILES.routes && !left.has(`${map} ${key}`)).map(({ key }) => key);
}
