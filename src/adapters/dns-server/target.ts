import type { DnsKeyRow, DnsRow } from "../../lib/dns-row.ts";
import { formatName, parseName } from "../../lib/domain-name.ts";
import { PortreeveError } from "../../lib/errors.ts";
import type { SecretStore } from "../../events/secrets.ts";
import { deviceKeyOf, updateKeyOf } from "../../protocols/dns/tsig-key.ts";
import type { Outcome, Plan, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { KeysRow, ServedRow } from "./messages.ts";
import type { WorkerLink } from "./worker-link.ts";

/** The rows that the worker has. It gets them all anew when it is replaced. */
export class DnsTarget implements Target<DnsRow, DnsRow> {
  readonly name = "dns";
  readonly #link: WorkerLink;
  readonly #secrets: Pick<SecretStore, "open">;
  #rows = new Map<string, DnsRow>();
  #lost = false;
  #onDrift: ((by: string) => void) | null = null;
  /** Which thread has the rows. */
  #givenTo = 0;
  readonly #waiting = new Set<() => void>();
  /** The last serial that a thread was told, after all names of it, and which thread. */
  #told = { serial: -1, generation: 0 };
  readonly #untold = new Set<{ readonly serial: number; readonly resolve: () => void }>();

  constructor(link: WorkerLink, secrets: Pick<SecretStore, "open">) {
    this.#link = link;
    this.#secrets = secrets;
  }

  /** The worker that had them is gone. */
  forget(): void {
    this.#rows = new Map();
    this.#lost = true;
  }

  /** Another worker can be had. Not before: a pass that fails is not tried again at once. */
  giveAnew(): void {
    this.#onDrift?.("the DNS thread");
  }

  /** Whether the thread that runs has the rows, or gets them in this time: one without them denies every name. */
  async isGiven(withinMs: number): Promise<boolean> {
    const isGiven = (): boolean => this.#link.running && this.#givenTo === this.#link.generation;
    if (isGiven()) return true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(done);
    });
    return isGiven();
  }

  /**
   * Resolves when the thread that runs has been told the names up to a serial: it has them before whatever it is told
   * next, and need not say so.
   */
  told(serial: number, signal: AbortSignal): Promise<void> {
    if (this.#isTold(serial)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = { serial, resolve };
      this.#untold.add(waiter);
      const giveUp = (): void => void (this.#untold.delete(waiter) && reject(signal.reason as Error));
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  #isTold(serial: number): boolean {
    return this.#link.running && this.#told.generation === this.#link.generation && this.#told.serial >= serial;
  }

  observe(): Promise<ReadonlyMap<string, DnsRow>> {
    this.#lost = false;
    return Promise.resolve(new Map(this.#rows));
  }

  expected(spec: DnsRow): DnsRow {
    return spec;
  }

  unchanged(): boolean {
    return !this.#lost;
  }

  watch(onDrift: (by: string) => void): { close(): void } {
    this.#onDrift = onDrift;
    return {
      close: () => {
        this.#onDrift = null;
      },
    };
  }

  async apply(plan: Plan<DnsRow, DnsRow>, signal: AbortSignal): Promise<readonly Outcome[]> {
    const failed = new Map<string, ReconcileError>();
    const set: ServedRow[] = [];
    const remove: string[] = [];
    const add = async (key: string, row: DnsRow): Promise<void> => {
      // Names need no waiting for, and may be many.
      if (row.kind !== "key") return void set.push(row);
      const served = await this.#keysOf(row).catch((cause: unknown) => refusal(cause));
      if ("disposition" in served) failed.set(key, served);
      else set.push(served);
    };
    for (const change of plan) {
      if (change.op === "delete") remove.push(change.key);
      else await add(change.key, change.desired.spec);
    }
    if (!this.#link.running) {
      const after = new Map(this.#rows);
      for (const change of plan) {
        if (change.op === "delete") after.delete(change.key);
        else after.set(change.key, change.desired.spec);
      }
      // Nobody is served: a gateway without a resolver needs no thread for it.
      if (![...after.values()].some((row) => row.kind === "view")) return this.#done(plan, failed);
      this.#link.open();
      const touched = new Set(plan.map(({ key }) => key));
      for (const [key, row] of after) if (!touched.has(key)) await add(key, row);
    }
    const asked = this.#link.ask<"rows">({ kind: "rows", set, remove }, signal);
    this.#tell(set);
    const { refused } = await asked;
    for (const { key, message } of refused)
      failed.set(key, { code: "INVALID_REQUEST", message, disposition: "terminal" });
    this.#givenTo = this.#link.generation;
    for (const resolve of this.#waiting) resolve();
    return this.#done(plan, failed);
  }

  #done(plan: Plan<DnsRow, DnsRow>, failed: ReadonlyMap<string, ReconcileError>): Outcome[] {
    return plan.map((change): Outcome => {
      const { key } = change;
      const error = failed.get(key);
      if (error !== undefined) return { key, ok: false, error };
      if (change.op === "delete") this.#rows.delete(key);
      else this.#rows.set(key, change.desired.spec);
      return { key, ok: true };
    });
  }

  /** The rows are on their way to the thread that runs. */
  #tell(rows: readonly ServedRow[]): void {
    const serial = rows.find((row) => row.kind === "serial");
    if (serial === undefined || !this.#link.running) return;
    this.#told = { serial: serial.serial, generation: this.#link.generation };
    for (const waiter of this.#untold) {
      if (waiter.serial > serial.serial) continue;
      this.#untold.delete(waiter);
      waiter.resolve();
    }
  }

  /** From here on keys only: the preshared key itself opens more than names. */
  async #keysOf({ device, view, sources, keyName, secretId, derived }: DnsKeyRow): Promise<KeysRow> {
    if (secretId === null) return { kind: "keys", device, view, sources, keys: [] };
    // Both kinds are kept as text: base64 of 32 octets.
    const secret = Buffer.from(new TextDecoder().decode((await this.#secrets.open(secretId)).expose()), "base64");
    const named = parseName(keyName);
    if (named === null) throw new PortreeveError("INVALID_REQUEST", `${keyName} is no name for a key`, "terminal");
    const keys = derived
      ? [updateKeyOf(secret), deviceKeyOf(secret, named)].flatMap((key) => key ?? [])
      : [{ name: named, secret }];
    const texts = keys.map((key) => ({ name: formatName(key.name), secret: key.secret }));
    return { kind: "keys", device, view, sources, keys: texts };
  }
}

function refusal(cause: unknown): ReconcileError {
  if (!(cause instanceof PortreeveError)) throw cause;
  const disposition = cause.disposition === "transient" ? "transient" : "terminal";
  return { code: cause.code, message: cause.message, disposition };
}
