import type { ControllerPort } from "../../controller/port.ts";
import type { SecretStore } from "../../events/secrets.ts";
import type { Clock } from "../../lib/clock.ts";
import { PortreeveError } from "../../lib/errors.ts";
import type { Metrics } from "../../lib/metrics.ts";
import type { RequestLog } from "../../lib/request-log.ts";
import { RCODE } from "../../protocols/dns/constants.ts";
import {
  type DnsListener,
  type Explanation,
  type ListenFault,
  listenerKey,
  type QueryEntry,
  type UpdateRequest,
  type Verdict,
  type WorkerSettings,
} from "./messages.ts";
import { DnsTarget } from "./target.ts";
import { UpdateFlow } from "./update-flow.ts";
import { type DnsThread, type FromWorkerItself, WorkerLink } from "./worker-link.ts";

/** The part of pino that is used here. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface DnsServerOptions extends WorkerSettings {
  readonly controller: Pick<ControllerPort, "state" | "submit" | "preview">;
  readonly clock: Clock;
  readonly secrets: Pick<SecretStore, "open">;
  readonly requests: RequestLog;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly answerOf: (requestId: string) => Promise<unknown>;
  /** Unix milliseconds of the last change of names in the log at this start. */
  readonly changedBefore: number | null;
  /** Unix milliseconds of this process's start, by the wall clock, which signatures go by. */
  readonly startedAt: number;
  /** Sockets are gone: `serve` is to be called again. */
  readonly onLost: () => void;
  /** Tests put a thread of their own in. */
  readonly startWorker?: () => DnsThread;
}

/** Threads that ended although nobody asked them to, since this process began. */
export interface ThreadLosses {
  readonly count: number;
  /** Why the last one did; null: none has. */
  readonly reason: string | null;
}

const QUERIES_MAX = 1000;
/** Of names, at a start or for a new thread; whoever is too late with them is asked again. */
const NAMES_MAX_MS = 1000;

/** Signatures have seconds. @param at Unix milliseconds, not later than now */
function secondOver(at: number): Promise<void> {
  const restMs = (Math.floor(at / 1000) + 1) * 1000 - Date.now();
  return restMs <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, restMs));
}

/** DNS on every served address: the worker answers, and what it is asked to change is decided here. */
export class DnsServer {
  readonly target: DnsTarget;
  readonly #options: DnsServerOptions;
  readonly #link: WorkerLink;
  /** Who signs in the second of the last change before this start can't be told from who repeats what came before it. */
  readonly #secondOver: Promise<void>;
  readonly #updates: UpdateFlow;
  readonly #answered: ReturnType<Metrics["counter"]>;
  readonly #threadLosses: ReturnType<Metrics["counter"]>;
  readonly #queries: QueryEntry[] = [];
  #served: readonly DnsListener[] = [];
  #serving: Promise<unknown> = Promise.resolve();
  #logsQueries = false;
  #losses: ThreadLosses = { count: 0, reason: null };

  constructor(options: DnsServerOptions) {
    this.#options = options;
    const { upstreams, rebindingAllow, changedBefore } = options;
    this.#secondOver = changedBefore === null ? Promise.resolve() : secondOver(changedBefore);
    const events = {
      onStart: () => {
        if (this.#logsQueries) this.#link.tell({ kind: "log-queries", on: true });
      },
      onRested: () => {
        this.target.giveAnew();
        options.onLost();
      },
      onLoss: (reason: string) => this.#onLoss(reason),
      onMessage: (message: FromWorkerItself) => this.#hear(message),
    };
    this.#link = new WorkerLink({ upstreams, rebindingAllow }, events, options.startWorker);
    this.target = new DnsTarget(this.#link, options.secrets);
    this.#updates = new UpdateFlow({ ...options, served: (serial, signal) => this.target.told(serial, signal) });
    const help = "DNS messages by what came of them";
    this.#answered = options.metrics.counter("portreeve_dns_messages_total", help, ["transport", "result"]);
    const lostHelp = "DNS threads that ended by themselves, and were replaced";
    this.#threadLosses = options.metrics.counter("portreeve_dns_thread_losses_total", lostHelp, []);
    this.#threadLosses.inc({}, 0);
  }

  /** The listeners whose sockets are open. */
  get served(): readonly DnsListener[] {
    return this.#served;
  }

  /** Makes the open sockets those of `listeners`; resolves with what could not be opened. */
  serve(listeners: readonly DnsListener[]): Promise<readonly ListenFault[]> {
    const turn = this.#serving.then(() => this.#serve(listeners));
    this.#serving = turn.catch(() => undefined);
    return turn;
  }

  /** What a client of a view would be answered, and why. */
  async ask(view: string, name: string, type: string, signal?: AbortSignal): Promise<Explanation> {
    const { explanation } = await this.#link.ask<"ask">({ kind: "ask", view, name, type }, signal);
    return explanation;
  }

  /** Newest first; nothing unless they are logged. */
  get queries(): readonly QueryEntry[] {
    return this.#queries.slice(-QUERIES_MAX).reverse();
  }

  /** In memory only; off, nothing of them is left. */
  logQueries(on: boolean): void {
    this.#logsQueries = on;
    if (!on) this.#queries.length = 0;
    this.#link.tell({ kind: "log-queries", on });
  }

  get losses(): ThreadLosses {
    return this.#losses;
  }

  get logsQueries(): boolean {
    return this.#logsQueries;
  }

  async close(): Promise<void> {
    await this.serve([]).catch(() => undefined);
    this.#updates.close();
    await this.#link.close();
  }

  #hear(message: FromWorkerItself): void {
    switch (message.kind) {
      case "updates":
        for (const { id, request } of message.updates) void this.#update(id, request);
        return;
      case "lost":
        this.#served = this.#served.filter((each) => listenerKey(each) !== listenerKey(message.listener));
        this.#options.log.info({ listener: message.listener, why: message.message }, "DNS sockets closed");
        this.#options.onLost();
        return;
      case "counted":
        for (const [key, count] of Object.entries(message.counts)) {
          const [transport = "", result = ""] = key.split(" ");
          this.#answered.inc({ transport, result }, count);
        }
        return;
      case "queried":
        if (!this.#logsQueries) return;
        this.#queries.push(...message.entries);
        if (this.#queries.length > QUERIES_MAX * 2) this.#queries.splice(0, this.#queries.length - QUERIES_MAX);
        return;
      case "warned":
        this.#options.log.warn(message.fields, message.message);
        return;
    }
  }

  async #serve(listeners: readonly DnsListener[]): Promise<readonly ListenFault[]> {
    if (listeners.length === 0 && this.#served.length === 0) return [];
    await this.#secondOver;
    if (listeners.length > 0 && !(await this.target.isGiven(NAMES_MAX_MS))) {
      const message = "the thread that answers has no names yet";
      return listeners.map((listener) => ({ listener, code: "UNAVAILABLE", message }));
    }
    const before = new Set(this.#served.map(listenerKey));
    try {
      const { faults } = await this.#link.ask<"listen">({ kind: "listen", listeners });
      const failed = new Set(faults.map(({ listener }) => listenerKey(listener)));
      this.#served = listeners.filter((each) => !failed.has(listenerKey(each)));
      for (const listener of this.#served) {
        if (!before.has(listenerKey(listener))) this.#options.log.info({ listener }, "serving DNS");
      }
      for (const { listener, code, message } of faults)
        this.#options.log.warn({ listener, code }, `cannot serve DNS: ${message}`);
      return faults;
    } catch (cause) {
      this.#served = [];
      if (!(cause instanceof PortreeveError)) throw cause;
      return listeners.map((listener) => ({ listener, code: cause.code, message: cause.message }));
    }
  }

  #onLoss(reason: string): void {
    this.#options.log.warn({ reason }, "the DNS thread is started anew");
    this.#threadLosses.inc({});
    this.#losses = { count: this.#losses.count + 1, reason };
    this.#served = [];
    this.target.forget();
    this.#options.onLost();
  }

  async #update(id: number, request: UpdateRequest): Promise<void> {
    const { generation } = this.#link;
    const verdict = await this.#updates.verdictOf(request).catch((cause: unknown): Verdict => {
      this.#options.log.warn({ err: cause }, "a DNS update could not be decided");
      return { kind: "answer", rcode: RCODE.SERVFAIL, lease: null, message: "it could not be decided" };
    });
    // Numbers of updates are the thread's: its successor has others by the same.
    if (generation === this.#link.generation) this.#link.tell({ kind: "verdict", id, verdict });
  }
}

export function createDnsServer(options: DnsServerOptions): DnsServer {
  return new DnsServer(options);
}
