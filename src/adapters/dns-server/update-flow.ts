import { hash, randomUUID } from "node:crypto";
import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";
import type { DnsUpdate } from "../../lib/dns-record.ts";
import type { RequestEntry, RequestLog } from "../../lib/request-log.ts";
import { RCODE } from "../../protocols/dns/constants.ts";
import type { Outcome } from "../../reducers/decide/command.ts";
import { HeldRemovals } from "./held-removals.ts";
import type { UpdateRequest, Verdict } from "./messages.ts";
import { ReplayMemory } from "./replay-memory.ts";
import { updateRcode } from "./update-rcodes.ts";

export interface UpdateFlowOptions {
  readonly controller: Pick<ControllerPort, "state" | "submit" | "preview">;
  /** The outcome that the log keeps for a request that changed something. */
  readonly answerOf: (requestId: string) => Promise<unknown>;
  /** Resolves when what names are in a state is served. */
  readonly served: (seq: number, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly requests: RequestLog;
  /** Unix milliseconds of the last change of names that is in the log; null: there was none. */
  readonly changedBefore: number | null;
  /** Unix milliseconds of this process's start, by the wall clock. */
  readonly startedAt: number;
  readonly monotonicSeconds?: () => number;
}

/** Takes an UPDATE that is proven and well formed to its verdict: durable, and served, before it is answered. */
export class UpdateFlow {
  readonly #options: UpdateFlowOptions;
  readonly #replay: ReplayMemory;
  /** A refusal now is nobody's to hear: its asker was told yes, and the preview said so. */
  readonly #held = new HeldRemovals(
    (request) => void this.#submit(request, request.update, requestIdOf(request)).catch(() => undefined),
  );
  readonly #monotonicSeconds: () => number;
  /** Updates of one commit wait together. */
  #serving: { readonly seq: number; readonly served: Promise<boolean> } | null = null;

  constructor(options: UpdateFlowOptions) {
    this.#options = options;
    const { changedBefore, startedAt } = options;
    this.#replay = new ReplayMemory(Math.floor((changedBefore ?? 0) / 1000), Math.floor(startedAt / 1000));
    this.#monotonicSeconds = options.monotonicSeconds ?? (() => performance.now() / 1000);
  }

  async verdictOf(request: UpdateRequest): Promise<Verdict> {
    const { device, signature, timeSigned } = request;
    const requestId = requestIdOf(request);
    if (signature === null) return await this.#decide(request, requestId);
    const decide = async (): Promise<Verdict> =>
      (await this.#kept(requestId)) ?? (await this.#decide(request, requestId));
    const signed = { device, signature, timeSigned };
    const verdict = await this.#replay.verdictOf(signed, this.#monotonicSeconds(), decide);
    return verdict.kind === "stale" ? ((await this.#kept(requestId)) ?? verdict) : verdict;
  }

  close(): void {
    this.#held.close();
  }

  /** What was carried out before this process began has its answer beside its event, however it was cut short then. */
  async #kept(requestId: string): Promise<Verdict | null> {
    const outcome = (await this.#options.answerOf(requestId)) as Outcome | undefined;
    if (outcome === undefined || !outcome.ok) return null;
    const lease = outcome.answer.kind === "updated" ? outcome.answer.lease : null;
    if (!(await this.#isServed(this.#options.controller.state.dnsRevision))) return NOT_SERVED;
    return { kind: "answer", rcode: RCODE.NOERROR, lease, message: "it was carried out before" };
  }

  /** Whoever was told yes, and asks, must see it (Terraform reads back at once). */
  #isServed(seq: number): Promise<boolean> {
    if (this.#serving?.seq === seq) return this.#serving.served;
    const serving = { seq, served: this.#waitServed(seq) };
    this.#serving = serving;
    // What failed once may work by the time of the next.
    void serving.served.then(() => {
      if (this.#serving === serving) this.#serving = null;
    });
    return serving.served;
  }

  async #waitServed(seq: number): Promise<boolean> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), SERVED_MAX_MS);
    try {
      await this.#options.served(seq, abort.signal);
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  async #decide(request: UpdateRequest, requestId: string): Promise<Verdict> {
    const update = this.#held.joined(request);
    if (HeldRemovals.mayPrecede(request)) {
      const { outcome, events } = this.#options.controller.preview(commandOf(request, update, requestId));
      if (outcome.ok && events.length > 0) {
        this.#held.hold(request);
        return { kind: "answer", rcode: RCODE.NOERROR, lease: null, message: "it waits for what may follow" };
      }
    }
    return await this.#submit(request, update, requestId);
  }

  async #submit(request: UpdateRequest, update: DnsUpdate, requestId: string): Promise<Verdict> {
    const { controller, clock, requests } = this.#options;
    const { interface: served, source } = request;
    const at = clock.now();
    const outcome = await controller.submit(commandOf(request, update, requestId));
    const note = (decision: RequestEntry["decision"], code: string | null, message: string): void => {
      const [protocol, request, durationMs] = ["dns" as const, updateText(update), clock.now() - at];
      requests.add({ at, protocol, from: source, interface: served, request, decision, code, message, durationMs });
    };
    if (!outcome.ok) {
      const { code, message } = outcome.refusal;
      note("refused", code, message);
      const rcode = updateRcode(code);
      return { kind: "answer", rcode, lease: null, message, ...(rcode === RCODE.SERVFAIL && { undecided: true }) };
    }
    if (!(await this.#isServed(controller.state.dnsRevision))) {
      note("refused", "NOT_SETTLED", NOT_SERVED.message);
      return NOT_SERVED;
    }
    const lease = outcome.answer.kind === "updated" ? outcome.answer.lease : null;
    const decision = outcome.changed ? "granted" : "renewed";
    const adds = update.changes.some(({ kind }) => kind === "add");
    const message = outcome.changed ? (adds ? "published" : "taken back") : "it was so already";
    const told = adds && lease !== null ? `${message}, for ${lease} s` : message;
    note(decision, null, told);
    return { kind: "answer", rcode: RCODE.NOERROR, lease, message };
  }
}

const NOT_SERVED = {
  kind: "answer",
  rcode: RCODE.SERVFAIL,
  lease: null,
  message: "it is kept, but was not served within 5 s",
} as const;

/** A signature is of one request, and every repetition has the same. */
function requestIdOf({ device, signature }: UpdateRequest): string {
  if (signature === null) return `dns-${randomUUID()}`;
  return `dns-${hash("sha256", `${device} ${signature}`, "hex").slice(0, 32)}`;
}

function commandOf(request: UpdateRequest, update: DnsUpdate, requestId: string) {
  const { device, interface: served, source, signed } = request;
  return { type: "dns.update", device, interface: served, signed, update, source: `dns:${source}`, requestId } as const;
}

/** After this long the client is told that it did not work; nothing is taken back, and its repetition finds it there. */
const SERVED_MAX_MS = 5000;

/** "UPDATE add photos.example.com A, delete www.example.com": what a person wants to know of it. */
function updateText({ changes }: DnsUpdate): string {
  const parts = changes.map((change) => {
    if (change.kind === "add") return `add ${change.name} ${change.type} ${change.value}`;
    if (change.kind === "delete-name") return `delete ${change.name}`;
    if (change.kind === "delete-rrset") return `delete ${change.name} ${change.type}`;
    return `delete ${change.name} ${change.type} ${change.value}`;
  });
  const shown = parts.slice(0, 3).join(", ");
  return `UPDATE ${parts.length > 3 ? `${shown} and ${parts.length - 3} more` : shown || "nothing"}`.slice(0, 300);
}
