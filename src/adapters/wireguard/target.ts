import type { SecretStore } from "../../events/secrets.ts";
import { PortreeveError } from "../../lib/errors.ts";
import type { Outcome, Plan, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { WireguardObservation } from "../../reconcilers/wireguard.ts";
import type { WireguardRow } from "../../reducers/select/rows.ts";
import { type DeviceLink, WireguardDevices } from "./device.ts";
import { fingerprintOf, type WireguardDump } from "./dump.ts";
import { LINK_KEY, observedRows, secretsToTry, unusable, type Wanted } from "./observed-rows.ts";
import { PeerChanges } from "./peer-changes.ts";
import { ProgramError, type Run, runProgram } from "./program.ts";
import { NOT_KEPT, reconcileError } from "./refusal.ts";
import { SealedKeys } from "./sealed-keys.ts";

type Row<K extends WireguardRow["kind"]> = Extract<WireguardRow, { kind: K }>;
type WireguardPlan = Plan<WireguardRow, WireguardObservation>;

/** How soon a change by others is noticed; the kernel tells nobody of changes to WireGuard. */
const POLL_MS = 500;
/** With very many peers it takes longer to look, so we look less often: about a fiftieth of a core at any number. */
const POLL_MS_PER_PEER = 1;

export interface WireguardTargetOptions {
  /** Marks the interface as ours, in its alias. */
  readonly instanceId: string;
  readonly secrets: Pick<SecretStore, "open">;
  /** The row that is wanted now, by key: whose secrets are tried on what is found. */
  readonly wanted: Wanted;
  /** Told of each look at the interface, for who keeps what peers did. */
  readonly onDump?: (dump: WireguardDump) => void;
  /** Where a peer was last heard from; a peer on an interface made anew is greeted there. */
  readonly endpointOf?: (publicKey: string) => string | null;
  readonly run?: Run;
  readonly pollMs?: number;
}

/** What is known of the machine's interfaces by others; only a hint. */
export interface SeenLink {
  readonly name: string;
  readonly index: number;
  readonly up: boolean;
}

export interface WireguardTarget extends Target<WireguardRow, WireguardObservation> {
  /** Told of every reading of the interfaces: one that is gone, down or made anew is looked at at once. */
  interfacesSeen(links: readonly SeenLink[]): void;
  /** Makes the interface of another instance ours, as it is. */
  takeOver(instanceId: string): Promise<void>;
}

/** WireGuard does not tell who changed it. */
const STRANGER = "another program";

/** What `wg` says of an interface that is there and that no WireGuard serves any more. */
const NOT_SERVED: ReadonlySet<string> = new Set(["ENODEV", "EOPNOTSUPP", "ECONNREFUSED", "ETIMEDOUT"]);

/** What there is to see of an interface that was made and no more. */
const UNTOUCHED: Pick<WireguardDump, "publicKey" | "peers"> = { publicKey: null, peers: [] };

const markOf = (instanceId: string): string => `portreeve ${instanceId}`;

/** Removes every interface that bears our mark, with the programs that serve them. */
export async function removeWireguard(instanceId: string, run: Run = runProgram): Promise<void> {
  const devices = new WireguardDevices(run);
  for (const { name, alias } of await devices.links()) {
    if (alias === markOf(instanceId)) await devices.remove(name);
  }
}

export function createWireguardTarget(options: WireguardTargetOptions): WireguardTarget {
  return new InterfaceTarget(options);
}

class InterfaceTarget implements WireguardTarget {
  readonly name = "wireguard";
  readonly #options: WireguardTargetOptions;
  readonly #devices: WireguardDevices;
  readonly #sealed: SealedKeys;
  readonly #mark: string;
  /** The interface as it was when we last looked or wrote; null: there is none of ours. */
  #link: DeviceLink | null = null;
  /** Of all of it that is managed, as it was then. */
  #fingerprint = "";
  #rows: ReadonlyMap<string, WireguardObservation> = new Map();
  #doubt = true;
  /** Counts looks and writes, so that a poll which overlaps one says nothing. */
  #turn = 0;
  /** Peers of an interface that was made anew do not know that it was: they are greeted where they were last heard from. */
  #madeAnew = false;
  #onDrift: ((by: string) => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WireguardTargetOptions) {
    this.#options = options;
    this.#devices = new WireguardDevices(options.run ?? runProgram);
    this.#sealed = new SealedKeys(options.secrets);
    this.#mark = markOf(options.instanceId);
  }

  async observe(signal: AbortSignal): Promise<ReadonlyMap<string, WireguardObservation>> {
    this.#turn += 1;
    try {
      return await this.#look(this.#options.wanted, signal);
    } finally {
      this.#turn += 1;
    }
  }

  expected = (spec: WireguardRow): WireguardObservation => (spec.kind === "link" ? { ...spec, up: true } : spec);

  unchanged(): boolean {
    return !this.#doubt;
  }

  async apply(plan: WireguardPlan, signal: AbortSignal): Promise<readonly Outcome[]> {
    if (plan.length === 0) return [];
    this.#turn += 1;
    // Until it is known again what is there, nothing is: we may be interrupted anywhere.
    this.#doubt = true;
    try {
      const errors = new Map<string, ReconcileError>();
      const link = plan.find(({ key }) => key === LINK_KEY);
      const name = link === undefined ? (this.#link?.name ?? null) : await this.#applyLink(link, errors, signal);
      if (link?.op !== "delete") await this.#applyPeers(plan, name, errors, signal);
      return await this.#verify(plan, errors, signal);
    } finally {
      this.#turn += 1;
    }
  }

  watch(onDrift: (by: string) => void): { close(): void } {
    this.#onDrift = onDrift;
    this.#schedule(this.#pollMs);
    return {
      close: () => {
        this.#onDrift = null;
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = null;
      },
    };
  }

  interfacesSeen(links: readonly SeenLink[]): void {
    const known = this.#link;
    if (known === null || this.#doubt) return;
    const seen = links.find(({ name }) => name === known.name);
    if (seen === undefined || seen.index !== known.index) this.#drifted("whoever removed the interface");
    else if (!seen.up && known.up) this.#drifted("whoever took the interface down");
  }

  async takeOver(instanceId: string): Promise<void> {
    const theirs = (await this.#devices.links()).filter(({ alias }) => alias === markOf(instanceId));
    for (const { name } of theirs) await this.#devices.mark(name, this.#mark);
  }

  /** Everything that bears our mark, with the secrets of `wanted` named where they are what is there. */
  async #look(wanted: Wanted, signal: AbortSignal): Promise<ReadonlyMap<string, WireguardObservation>> {
    this.#rows = await this.#readRows(wanted, signal);
    return this.#rows;
  }

  async #readRows(wanted: Wanted, signal: AbortSignal): Promise<ReadonlyMap<string, WireguardObservation>> {
    const ours = (await this.#devices.links(signal)).filter(({ alias }) => alias === this.#mark);
    const [link] = ours;
    this.#link = link ?? null;
    const dump = ours.length === 1 && link !== undefined ? await this.#dump(link.name, signal) : null;
    this.#doubt = link !== undefined && dump === null;
    if (link === undefined) return new Map();
    if (dump === null) return unusable(ours.map(({ name }) => name));
    await this.#sealed.learn(secretsToTry(dump, wanted));
    this.#fingerprint = fingerprintOf(dump);
    this.#options.onDump?.(dump);
    return observedRows(link, dump, wanted, this.#sealed);
  }

  /** Null: it is there and does not answer as a WireGuard interface does. */
  async #dump(name: string, signal: AbortSignal): Promise<WireguardDump | null> {
    try {
      return await this.#devices.dump(name, signal);
    } catch (error) {
      if (error instanceof ProgramError && NOT_SERVED.has(error.code)) return null;
      throw error;
    }
  }

  /** The interface that is there then; null: none of ours. */
  async #applyLink(
    change: WireguardPlan[number],
    errors: Map<string, ReconcileError>,
    signal: AbortSignal,
  ): Promise<string | null> {
    try {
      if (change.op !== "delete") return await this.#ensure(change.desired.spec as Row<"link">, signal);
      await this.#removeOthers(null, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      errors.set(LINK_KEY, reconcileError(error));
    }
    return (await this.#devices.links(signal)).find(({ alias }) => alias === this.#mark)?.name ?? null;
  }

  /** Removes what bears our mark but the interface of this name; returns that one, whosever it is. */
  async #removeOthers(name: string | null, signal: AbortSignal): Promise<DeviceLink | undefined> {
    const links = await this.#devices.links(signal);
    for (const link of links) {
      if (link.alias === this.#mark && link.name !== name) await this.#devices.remove(link.name, signal);
    }
    return links.find((link) => link.name === name);
  }

  /** A program for each step, one after the other: on a busy machine they are what the first device waits for. */
  async #ensure(row: Row<"link">, signal: AbortSignal): Promise<string> {
    const privateKey = await this.#sealed.open(row.privateKeySecret);
    const name = row.interface;
    let link = await this.#removeOthers(name, signal);
    let dump: WireguardDump | null = null;
    if (link?.alias === this.#mark) {
      dump = await this.#dump(name, signal);
      if (dump === null) {
        await this.#devices.remove(name, signal);
        link = undefined;
      }
    }
    if (link === undefined) {
      await this.#devices.create(name, signal);
      this.#madeAnew = true;
    }
    if (dump === null) await this.#adopt(name, link === undefined, signal);
    await this.#devices.add(
      name,
      {
        interface: {
          privateKey: dump?.publicKey === row.publicKey ? null : privateKey,
          listenPort: dump?.listenPort === row.listenPort ? null : row.listenPort,
        },
      },
      signal,
    );
    if (link?.up !== true) await this.#devices.bringUp(name, signal);
    return name;
  }

  /** Makes an interface ours that nobody has set up: we may have died between making and marking it. */
  async #adopt(name: string, madeJustNow: boolean, signal: AbortSignal): Promise<void> {
    const dump = madeJustNow ? UNTOUCHED : await this.#dump(name, signal);
    if (dump === null || dump.publicKey !== null || dump.peers.length > 0) {
      const message = `there is an interface ${name} that is not ours; remove it, or name another one under wireguard.interface`;
      throw new PortreeveError("CONFLICT", message, "terminal");
    }
    await this.#devices.mark(name, this.#mark, signal);
  }

  async #applyPeers(
    plan: WireguardPlan,
    name: string | null,
    errors: Map<string, ReconcileError>,
    signal: AbortSignal,
  ): Promise<void> {
    const greet = this.#madeAnew ? this.#options.endpointOf : undefined;
    const changes = new PeerChanges(this.#devices, this.#sealed, greet);
    await changes.prepare(plan, errors);
    if (changes.empty) return;
    try {
      if (name === null) throw new PortreeveError("UNAVAILABLE", "there is no WireGuard interface", "transient");
      await changes.write(name, signal);
      this.#madeAnew = false;
    } catch (error) {
      if (signal.aborted) throw error;
      for (const key of changes.keys) errors.set(key, reconcileError(error));
    }
  }

  /** What was asked for counts as done when it is seen to be there. */
  async #verify(
    plan: WireguardPlan,
    errors: ReadonlyMap<string, ReconcileError>,
    signal: AbortSignal,
  ): Promise<readonly Outcome[]> {
    const planned = new Map(plan.map((change) => [change.key, change.op === "delete" ? null : change.desired.spec]));
    const wanted: Wanted = (key) => planned.get(key) ?? this.#options.wanted(key);
    const before = this.#rows;
    const found = await this.#look(wanted, signal);
    const touched = [...new Set([...before.keys(), ...found.keys()])].filter((key) => !planned.has(key));
    if (touched.some((key) => !same(before.get(key), found.get(key)))) this.#drifted(STRANGER);
    return plan.map(({ key }): Outcome => {
      const error = errors.get(key);
      if (error !== undefined) return { key, ok: false, error };
      const spec = planned.get(key) ?? null;
      const there = found.get(key);
      return same(spec === null ? undefined : this.expected(spec), there)
        ? { key, ok: true }
        : { key, ok: false, error: NOT_KEPT };
    });
  }

  get #pollMs(): number {
    return this.#options.pollMs ?? POLL_MS;
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => void this.#poll(), ms).unref();
  }

  async #poll(): Promise<void> {
    const [link, turn] = [this.#link, this.#turn];
    // Odd: a look or a write is going on.
    if (link !== null && !this.#doubt && turn % 2 === 0) {
      const dump = await this.#devices.dump(link.name).catch(() => null);
      if (turn === this.#turn) {
        if (dump === null) this.#drifted("whoever removed the interface");
        else if (fingerprintOf(dump) !== this.#fingerprint) this.#drifted(STRANGER);
        if (dump !== null) this.#options.onDump?.(dump);
      }
    }
    if (this.#onDrift !== null) this.#schedule(Math.max(this.#pollMs, this.#rows.size * POLL_MS_PER_PEER));
  }

  #drifted(by: string): void {
    this.#doubt = true;
    this.#onDrift?.(by);
  }
}

/** All fields of our rows are flat, or lists of strings. */
function same(left: WireguardObservation | undefined, right: WireguardObservation | undefined): boolean {
  const fields = (row: WireguardObservation): string =>
    JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (left === undefined || right === undefined) return left === right;
  return fields(left) === fields(right);
}
