import { randomUUID } from "node:crypto";
import type { Clock } from "../../lib/clock.ts";
import { encodePropertySet, nextSeq, type Properties } from "../../protocols/upnp/gena.ts";
import type { ServiceName } from "./documents.ts";
import { type Callback, type EventMessage, postEvent } from "./event-post.ts";
import type { Caller } from "./exchange.ts";

/** Seconds. What is asked for beyond these is cut; "infinite" is the longest. */
const GRANTED_MIN = 300;
const GRANTED_MAX = 1800;
/** Changes within so short a time are one event: a batch that changes many mappings says so once (IGD-14). */
const GATHERED_MS = 200;
const PER_DEVICE_MAX = 8;
const TOTAL_MAX = 256;
/** UPnP Device Architecture 1.1 §4.3: who does not take an event loses that one alone, and is told less often meanwhile. */
const QUIET_FIRST_MS = 1000;
const QUIET_MAX_MS = 60_000;

interface Subscription {
  readonly sid: string;
  readonly service: ServiceName;
  readonly caller: Caller;
  /** The served address that it subscribed at, and that its events come from. */
  readonly at: string;
  readonly callback: Callback;
  expiresAt: number;
  seq: number;
  /** Events in a row that it did not take. */
  failures: number;
  /** Until when it is told nothing, as it did not take the last one; what changes meanwhile is one event then. */
  quietUntil: number;
  /** What it was told last; null before the first event. */
  told: Properties | null;
  /** Its values are being read, or an event is on its way. */
  busy: boolean;
  /** Something changed meanwhile, which is in the next event. */
  stale: boolean;
  /** Its end: whoever asks again and again has no more events on their way than subscriptions. */
  readonly end: AbortController;
}

export type Subscribed = { readonly sid: string; readonly seconds: number; readonly begin: () => void };

export interface SubscriptionsOptions {
  readonly clock: Clock;
  readonly valuesOf: (service: ServiceName, caller: Caller) => Promise<Properties>;
  readonly post?: (from: string, callback: Callback, message: EventMessage, until: AbortSignal) => Promise<boolean>;
}

/** Who is told of changes (UPnP Device Architecture 1.1 §4), in memory: after a start, control points subscribe again. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #bySid = new Map<string, Subscription>();
  #alarm: { cancel(): void } | null = null;
  /** The ends of what is kept quiet about. */
  readonly #quiet = new Set<{ cancel(): void }>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#bySid.size;
  }

  get callers(): Caller[] {
    return [...this.#bySid.values()].map(({ caller }) => caller);
  }

  /**
   * Null if there is no room for one more. Asking again for the same place replaces the old one, as after a crash of
   * the control point. The first event goes out on `begin`, when the answer has.
   */
  subscribe(
    service: ServiceName,
    caller: Caller,
    at: string,
    callback: Callback,
    asked: number | null,
  ): Subscribed | null {
    this.#expire();
    const all = [...this.#bySid.values()];
    const ofDevice = all.filter(
      (each) => each.caller.device === caller.device && each.caller.interface === caller.interface,
    );
    const same = ofDevice.find((each) => each.service === service && isSame(each.callback, callback));
    if (same !== undefined) this.#drop(same);
    else if (ofDevice.length >= PER_DEVICE_MAX) return null;
    else if (all.length >= TOTAL_MAX && !this.#makeRoom(caller, ofDevice.length + 1)) return null;
    const seconds = granted(asked);
    const sid = `uuid:${randomUUID()}`;
    const expiresAt = this.#options.clock.now() + seconds * 1000;
    const fresh = { seq: 0, failures: 0, quietUntil: 0, told: null, busy: false, stale: false };
    const end = new AbortController();
    const subscription: Subscription = { sid, service, caller, at, callback, expiresAt, end, ...fresh };
    this.#bySid.set(sid, subscription);
    return { sid, seconds, begin: () => void this.#tell(subscription) };
  }

  /** The seconds granted; null for one that this caller does not have. */
  renew(service: ServiceName, caller: Caller, sid: string, asked: number | null): number | null {
    const subscription = this.#own(service, caller, sid);
    if (subscription === null) return null;
    const seconds = granted(asked);
    subscription.expiresAt = this.#options.clock.now() + seconds * 1000;
    return seconds;
  }

  unsubscribe(service: ServiceName, caller: Caller, sid: string): boolean {
    const subscription = this.#own(service, caller, sid);
    return subscription !== null && this.#drop(subscription);
  }

  /** Something may have changed. */
  changed(): void {
    if (this.#bySid.size === 0) return;
    this.#alarm ??= this.#options.clock.setAlarm(this.#options.clock.now() + GATHERED_MS, () => {
      this.#alarm = null;
      this.#expire();
      for (const subscription of this.#bySid.values())
        if (subscription.told !== null || subscription.busy) void this.#tell(subscription);
    });
  }

  /** The address they subscribed at is no longer served. */
  left(at: string): void {
    for (const each of this.#bySid.values()) if (each.at === at) this.#drop(each);
  }

  close(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    for (const alarm of this.#quiet) alarm.cancel();
    this.#quiet.clear();
    for (const each of this.#bySid.values()) this.#drop(each);
  }

  #drop({ sid, end }: Subscription): boolean {
    end.abort();
    return this.#bySid.delete(sid);
  }

  /**
   * Where all places are taken, who has most of them gives one up to who will have fewer: the network that has most to
   * another network, else the host that has most to a host of the same network. So no network keeps another one out.
   */
  #makeRoom({ interface: served }: Caller, count: number): boolean {
    const all = [...this.#bySid.values()];
    const own = all.filter(({ caller }) => caller.interface === served);
    const crowd = mostOf(all, ({ caller }) => caller.interface);
    const yields = crowd.length > own.length + 1;
    const most = mostOf(yields ? crowd : own, ({ caller }) => caller.device);
    const [first] = most.toSorted((a, b) => a.expiresAt - b.expiresAt);
    return first !== undefined && (yields || most.length > count) && this.#drop(first);
  }

  #own(service: ServiceName, { interface: served, device }: Caller, sid: string): Subscription | null {
    this.#expire();
    const found = this.#bySid.get(sid);
    if (found === undefined || found.service !== service) return null;
    return found.caller.interface === served && found.caller.device === device ? found : null;
  }

  #expire(): void {
    const now = this.#options.clock.now();
    for (const each of this.#bySid.values()) if (each.expiresAt <= now) this.#drop(each);
  }

  async #tell(subscription: Subscription): Promise<void> {
    subscription.stale = subscription.busy;
    const { valuesOf, post = postEvent, clock } = this.#options;
    if (subscription.busy || clock.now() < subscription.quietUntil) return;
    subscription.busy = true;
    const { sid, service, caller, at, callback, told, seq, end } = subscription;
    const values = await valuesOf(service, caller).catch(() => null);
    const news = values === null ? {} : newIn(values, told ?? {});
    if (values !== null && (told === null || Object.keys(news).length > 0) && this.#bySid.has(sid)) {
      subscription.told = values;
      subscription.seq = nextSeq(seq);
      const taken = await post(at, callback, { sid, seq, body: encodePropertySet(news) }, end.signal);
      subscription.failures = taken ? 0 : subscription.failures + 1;
      if (!taken && this.#bySid.has(sid)) this.#keepQuiet(subscription);
    }
    subscription.busy = false;
    if (subscription.stale) this.changed();
  }

  #keepQuiet(subscription: Subscription): void {
    const { clock } = this.#options;
    const forMs = Math.min(QUIET_FIRST_MS * 2 ** (subscription.failures - 1), QUIET_MAX_MS);
    subscription.quietUntil = clock.now() + forMs;
    const alarm = clock.setAlarm(subscription.quietUntil, () => {
      this.#quiet.delete(alarm);
      this.changed();
    });
    this.#quiet.add(alarm);
  }
}

/** The largest of the groups that have something in common. */
function mostOf(all: readonly Subscription[], keyOf: (each: Subscription) => string): Subscription[] {
  const groups = new Map<string, Subscription[]>();
  for (const each of all) {
    const group = groups.get(keyOf(each));
    if (group === undefined) groups.set(keyOf(each), [each]);
    else group.push(each);
  }
  return [...groups.values()].reduce((most, group) => (group.length > most.length ? group : most), []);
}

const granted = (asked: number | null): number => Math.min(Math.max(asked ?? GRANTED_MAX, GRANTED_MIN), GRANTED_MAX);

const isSame = (one: Callback, other: Callback): boolean =>
  one.address === other.address && one.port === other.port && one.path === other.path;

function newIn(values: Properties, told: Properties): Properties {
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => told[name] !== value));
}
