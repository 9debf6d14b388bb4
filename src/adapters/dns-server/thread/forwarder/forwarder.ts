import type { Clock } from "../../../../lib/clock.ts";
import { type NameKey, parseName } from "../../../../lib/domain-name.ts";
import { HEADER_OCTETS, RCODE, TYPE } from "../../../../protocols/dns/constants.ts";
import { EXTENDED_ERROR } from "../../../../protocols/dns/extended-error.ts";
import { FLAG, hasQuestionOctets, skimQuery, uint16 } from "../../../../protocols/dns/skim.ts";
import { AddressCheck } from "./address-check.ts";
import { AnswerCache, type CachedAnswer } from "./answer-cache.ts";
import type { Answer } from "./digest.ts";
import {
  type Failure,
  failureOf,
  NOT_SERVED,
  refusalOf,
  TOO_MANY,
  TOO_MANY_OF_CLIENT,
  WENT_IN_A_CIRCLE,
} from "./failure.ts";
import { FailureCache } from "./failure-cache.ts";
import { localReply, minimalReply } from "./local-reply.ts";
import { flagsKey, nameKeyOf, nameOfKey, questionKey } from "./question-key.ts";
import { type ClientQuery, bareReply, formatErrorReply, replyWith } from "./reply.ts";
import type { Resolution, ResolveHow } from "./resolution.ts";
import { localAnswer } from "./special-names.ts";
import { SystemUpstreams } from "./system-upstreams.ts";
import {
  groupFor,
  type Listener,
  type UpstreamGroup,
  UpstreamGroups,
  type UpstreamPlan,
  type ViewUpstreams,
} from "./upstream-groups.ts";
import type { HealthStatus } from "./upstream-health.ts";
import type { UpstreamQuestion } from "./upstream-query.ts";
import { race, type RaceResult } from "./upstream-race.ts";

export interface ForwarderOptions {
  readonly clock: Clock;
  /** `dns.upstreams`: for views that have none of their own. */
  readonly upstreams: "system" | readonly string[];
  /** `dns.rebinding.allow`: domains whose names may lead into this network. */
  readonly rebindingAllow: readonly string[];
  readonly log?: ((message: string) => void) | undefined;
  readonly cache?: { readonly octetsMax: number; readonly entriesMax: number } | undefined;
  /** In place of those that Node trusts, PEM. */
  readonly authorities?: readonly string[] | undefined;
  /** In place of the machine's resolv.conf files. */
  readonly systemFiles?: readonly string[] | undefined;
}

/** All that others decide; given whole again when any of it changes. */
export interface ForwarderSetup {
  readonly views: readonly { readonly id: string; readonly upstreams: ViewUpstreams }[];
  /** Where we listen: no upstream is there. */
  readonly listeners: readonly Listener[];
  /** Networks we serve, in CIDR: no answer of an upstream leads there. */
  readonly prefixes: readonly string[];
}

export interface ForwarderStatus {
  readonly cache: { readonly entries: number; readonly octets: number };
  readonly underWay: number;
  readonly upstreams: readonly ({ readonly upstream: string } & HealthStatus)[];
}

const CACHE = { octetsMax: 32 * 1024 * 1024, entriesMax: 100_000 };
/** RFC 8767 §5: an answer that is late is better than none, for this long; §6: after this wait; with this TTL. */
const STALE = { keptMs: 86_400_000, waitMs: 1800, ttl: 30, retryMs: 30_000 };
/** RFC 9520 §3.2 says 1 s to 5 min. */
const FAILURE_MS = 5000;
const BLOCKED_MS = 30_000;
/** In the last tenth of its time what is asked for is fetched anew, unless that time is short anyway. */
const PREFETCH = { share: 0.1, lifetimeMinMs: 10_000 };
/** Questions under way: sockets, and what a flood of names can make others wait for. One group never has all. */
const UNDER_WAY_MAX = 500;
const UNDER_WAY_OF_GROUP_MAX = 300;
const WAITING_MAX = 200;

interface UnderWay {
  readonly question: UpstreamQuestion;
  readonly result: Promise<RaceResult>;
  readonly group: UpstreamGroup;
  waiting: number;
}

/** One query, on its way to an answer. */
interface Errand extends ClientQuery {
  readonly key: string;
  readonly name: NameKey;
  readonly group: UpstreamGroup;
  readonly resolved: (resolution: Resolution) => void;
}

export function createForwarder(options: ForwarderOptions): Forwarder {
  return new Forwarder(options);
}

/** Answers what is not ours to answer: from memory, by rules about names, or by asking upstreams. */
export class Forwarder {
  readonly #clock: Clock;
  readonly #log: (message: string) => void;
  readonly #cache: AnswerCache;
  readonly #failures: FailureCache;
  readonly #groups: UpstreamGroups;
  readonly #system: SystemUpstreams;
  readonly #underWay = new Map<string, UnderWay>();
  readonly #allowed: ReadonlySet<string>;
  #setup: ForwarderSetup = { views: [], listeners: [], prefixes: [] };
  #plans: ReadonlyMap<string, UpstreamPlan> = new Map();
  #addresses = new AddressCheck([]);

  constructor(options: ForwarderOptions) {
    const { clock, authorities, upstreams } = options;
    this.#clock = clock;
    this.#log = options.log ?? (() => undefined);
    this.#cache = new AnswerCache(options.cache ?? CACHE);
    this.#failures = new FailureCache(clock);
    this.#groups = new UpstreamGroups({ clock, authorities, upstreams, refused: this.#log });
    this.#system = new SystemUpstreams(clock, () => this.#plan(), options.systemFiles);
    this.#allowed = new Set(options.rebindingAllow.flatMap((domain) => parseName(domain.toLowerCase())?.key ?? []));
  }

  configure(setup: ForwarderSetup): void {
    const before = this.#setup;
    this.#setup = setup;
    if (setup.prefixes.join() !== before.prefixes.join()) {
      // What was no address of ours may be one now.
      this.#addresses = new AddressCheck(setup.prefixes);
      this.#cache.clear();
    }
    this.#plan();
  }

  /**
   * The reply's octets, cut to what the client takes; empty if there is nobody to answer. Nobody waits where nobody needs
   * to be asked. Never rejects.
   */
  resolve(query: Uint8Array, view: string, how: ResolveHow): Uint8Array | Promise<Uint8Array> {
    const skim = skimQuery(query);
    if (skim === null || (skim.flags & FLAG.QR) !== 0) return formatErrorReply(query) ?? new Uint8Array();
    const asked: ClientQuery = { query, skim, transport: how.transport };
    try {
      const reply = this.#reply(asked, view, how);
      return reply instanceof Promise ? reply.catch((cause: unknown) => this.#broken(asked, cause)) : reply;
    } catch (cause) {
      return this.#broken(asked, cause);
    }
  }

  get status(): ForwarderStatus {
    return {
      cache: { entries: this.#cache.size, octets: this.#cache.octets },
      underWay: this.#underWay.size,
      upstreams: this.#groups.clients.map(({ text, health }) => ({ upstream: text, ...health.status })),
    };
  }

  close(): void {
    this.#system.close();
    this.#groups.close();
  }

  #plan(): void {
    const { views, listeners } = this.#setup;
    const plans = this.#groups.plan(
      views.map(({ upstreams }) => upstreams),
      this.#system.servers,
      listeners,
    );
    this.#failures.clear();
    this.#plans = new Map(views.map(({ id }, index) => [id, plans[index] as UpstreamPlan]));
  }

  #broken(asked: ClientQuery, cause: unknown): Uint8Array {
    this.#log(`a query was not answered, for a fault of ours: ${String((cause as Error).stack ?? cause)}`);
    return bareReply(asked, RCODE.SERVFAIL, null);
  }

  #reply(
    asked: ClientQuery,
    view: string,
    { onResolved, mayWait = true }: ResolveHow,
  ): Uint8Array | Promise<Uint8Array> {
    const resolved = onResolved ?? (() => undefined);
    const plan = this.#plans.get(view);
    const refusal = refusalOf(asked) ?? (plan === undefined ? NOT_SERVED : null);
    if (refusal !== null || plan === undefined) return fail({ ...asked, resolved }, refusal ?? NOT_SERVED);
    const { query, skim } = asked;
    const question = questionKey(query, skim);
    if (skim.type === TYPE.ANY && asked.transport === "udp") {
      resolved({ kind: "local", why: "ANY by UDP has a minimal answer (RFC 8482)" });
      return replyWith(minimalReply(query.subarray(HEADER_OCTETS, skim.questionEnd)), asked, FRESH);
    }
    const group = groupFor(plan, nameOfKey(question));
    const key = group.id + flagsKey(skim) + question;
    const errand: Errand = { query, skim, transport: asked.transport, key, name: nameOfKey(question), group, resolved };
    const now = this.#clock.now();
    const held = this.#held(key, now);
    if (held !== undefined && now < held.freshUntil) return this.#fromCache(errand, held, now);
    const local = group.conditional ? null : localAnswer(errand.name, skim.type);
    if (local !== null) {
      resolved({ kind: "local", why: "a name that is never forwarded" });
      return replyWith(localReply(local, query.subarray(HEADER_OCTETS, skim.questionEnd)), asked, FRESH);
    }
    const stale = held !== undefined && now < held.staleUntil ? held : null;
    const atHand = this.#atHand(errand, stale, now);
    if (atHand !== null) return atHand;
    return mayWait ? this.#forward(errand, stale) : fail(errand, TOO_MANY_OF_CLIENT);
  }

  /** For this question, or for every type of its name; what is fresh before what is not. */
  #held(key: string, now: number): CachedAnswer | undefined {
    const own = this.#cache.get(key);
    if (own !== undefined && now < own.freshUntil) return own;
    const ofName = this.#cache.get(nameKeyOf(key));
    return ofName !== undefined && now < ofName.freshUntil ? ofName : (own ?? ofName);
  }

  #fromCache(errand: Errand, held: CachedAnswer, now: number): Uint8Array {
    held.used = true;
    const lifetime = held.freshUntil - held.storedAt;
    if (held.freshUntil - now <= lifetime * PREFETCH.share && lifetime >= PREFETCH.lifetimeMinMs)
      this.#prefetch(errand, held, now);
    const age = Math.floor((now - held.storedAt) / 1000);
    errand.resolved({ kind: "cached", ageSeconds: age, stale: false });
    return replyWith(held.answer, errand, { age, ttl: null, error: null });
  }

  #prefetch(errand: Errand, held: CachedAnswer, now: number): void {
    if (now < held.refreshAt || this.#underWay.has(errand.key) || !this.#hasRoom(errand.group)) return;
    held.refreshAt = now + STALE.retryMs;
    this.#start(errand);
  }

  /** What the last attempt came to, as long as there is to be no other. */
  #atHand(errand: Errand, stale: CachedAnswer | null, now: number): Uint8Array | null {
    if (stale !== null && now < stale.refreshAt) return this.#stale(errand, stale, now);
    const failure = this.#failures.get(errand.key);
    return failure === null ? null : fail(errand, failure);
  }

  #forward(errand: Errand, stale: CachedAnswer | null): Uint8Array | Promise<Uint8Array> {
    const known = this.#underWay.get(errand.key);
    const id = uint16(errand.query, 0);
    if (
      known?.question.sent.some((sent) => sent.id === id && hasQuestionOctets(errand.query, sent.question)) === true
    ) {
      this.#log(`an upstream sends our own queries back to us; it is one of ${namesOf(known.group)}`);
      return fail(errand, WENT_IN_A_CIRCLE);
    }
    if (known === undefined ? !this.#hasRoom(errand.group) : known.waiting >= WAITING_MAX)
      return fail(errand, TOO_MANY);
    const underWay = known ?? this.#start(errand);
    underWay.waiting += 1;
    return this.#wait(errand, underWay, stale, known !== undefined);
  }

  #hasRoom(group: UpstreamGroup): boolean {
    if (this.#underWay.size >= UNDER_WAY_MAX) return false;
    if (this.#underWay.size < UNDER_WAY_OF_GROUP_MAX) return true;
    let ofGroup = 0;
    for (const each of this.#underWay.values()) if (each.group.id === group.id) ofGroup += 1;
    return ofGroup < UNDER_WAY_OF_GROUP_MAX;
  }

  async #wait(errand: Errand, underWay: UnderWay, stale: CachedAnswer | null, shared: boolean): Promise<Uint8Array> {
    const result = await (stale === null ? underWay.result : this.#inTime(underWay.result));
    underWay.waiting -= 1;
    if (result?.kind === "answer") {
      const { upstream, ms } = result;
      errand.resolved({ kind: "forwarded", upstream, ms, shared });
      return replyWith(result.answer, errand, FRESH);
    }
    if (stale !== null && result?.kind !== "blocked") {
      stale.refreshAt = this.#clock.now() + STALE.retryMs;
      return this.#stale(errand, stale, this.#clock.now());
    }
    return fail(errand, failureOf(result as Exclude<RaceResult, { kind: "answer" }>));
  }

  /** Null: what there is of old has to do. */
  #inTime(result: Promise<RaceResult>): Promise<RaceResult | null> {
    return new Promise((resolve) => {
      const alarm = this.#clock.setAlarm(this.#clock.now() + STALE.waitMs, () => resolve(null));
      void result.then((value) => {
        alarm.cancel();
        resolve(value);
      });
    });
  }

  #stale(errand: Errand, stale: CachedAnswer, now: number): Uint8Array {
    stale.used = true;
    errand.resolved({ kind: "cached", ageSeconds: Math.floor((now - stale.storedAt) / 1000), stale: true });
    const isNone = stale.answer.rcode === RCODE.NXDOMAIN;
    const code = isNone ? EXTENDED_ERROR.STALE_NXDOMAIN_ANSWER : EXTENDED_ERROR.STALE_ANSWER;
    return replyWith(stale.answer, errand, { age: 0, ttl: STALE.ttl, error: { code, text: "no upstream answers" } });
  }

  #start({ key, name, query, skim, group }: Errand): UnderWay {
    const question: UpstreamQuestion = {
      octets: new Uint8Array(query.subarray(HEADER_OCTETS, skim.questionEnd)),
      type: skim.type,
      recursionDesired: (skim.flags & FLAG.RD) !== 0,
      checkingDisabled: (skim.flags & FLAG.CD) !== 0,
      dnssecOk: skim.edns?.dnssecOk === true,
      sent: [],
    };
    const addresses = group.conditional || this.#mayLeadHere(name) ? null : this.#addresses;
    const result = race(question, group.clients, { clock: this.#clock, addresses }).then((outcome) => {
      this.#underWay.delete(key);
      this.#remember(key, outcome);
      return outcome;
    });
    const underWay: UnderWay = { question, result, group, waiting: 0 };
    this.#underWay.set(key, underWay);
    return underWay;
  }

  #mayLeadHere(name: NameKey): boolean {
    for (let at = 0; name.charCodeAt(at) !== 0; at += 1 + name.charCodeAt(at)) {
      if (this.#allowed.has(name.slice(at))) return true;
    }
    return false;
  }

  #remember(key: string, result: RaceResult): void {
    if (result.kind !== "answer") {
      const failure = failureOf(result);
      this.#failures.set(key, failure, result.kind === "blocked" ? BLOCKED_MS : FAILURE_MS);
      if (result.kind === "blocked") {
        this.#cache.delete(key);
        this.#log(`${result.upstream} answered the private address ${result.address}; it was withheld`);
      }
      return;
    }
    const { answer } = result;
    if (answer.ttl > 0) this.#cache.set(answer.coversName ? nameKeyOf(key) : key, cachedAt(answer, this.#clock.now()));
  }
}

function fail(
  { resolved, ...asked }: ClientQuery & Pick<Errand, "resolved">,
  { resolution, rcode, error }: Failure,
): Uint8Array {
  resolved(resolution);
  return bareReply(asked, rcode, error);
}

const namesOf = ({ clients }: UpstreamGroup): string => clients.map(({ text }) => text).join(", ");

const FRESH = { age: 0, ttl: null, error: null };

function cachedAt(answer: Answer, now: number): CachedAnswer {
  const freshUntil = now + answer.ttl * 1000;
  return { answer, storedAt: now, freshUntil, staleUntil: freshUntil + STALE.keptMs, refreshAt: 0, used: false };
}
