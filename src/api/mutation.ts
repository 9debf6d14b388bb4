import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { canonicalJson } from "../lib/canonical-json.ts";
import type { RequestEntry } from "../lib/request-log.ts";
import { tableGet } from "../lib/table.ts";
import type { Command, Outcome } from "../reducers/decide/command.ts";
import type { Actor } from "./auth/actor.ts";
import { UNAVAILABLE } from "../reducers/decide/map-names.ts";
import { objectsOf } from "../reducers/objects/index.ts";
import { commandText } from "./command-text.ts";
import type { ApiDeps } from "./deps.ts";
import { RequestProblem } from "./problem.ts";
import { isoTime } from "../lib/iso-time.ts";
import type { mutationHeaders, mutationQuery } from "./schemas/fields.ts";
import type { PlanDocument, ResultDocument } from "./schemas/plan.ts";
import { waitForSeq } from "./settle.ts";
import { deviceView } from "./views/device.ts";
import { checksOf } from "./plan-checks.ts";
import { recordView } from "./views/dns.ts";
import { planView } from "./views/plan.ts";
import { subnetView } from "./views/subnet.ts";
import { deviceContext, portReader } from "./view-contexts.ts";

type Accepted = Extract<Outcome, { ok: true }>;

/** Keys remembered to tell a repeated request from another one under the same key. */
const KEYS_MAX = 10_000;

export interface MutationRequest extends Pick<FastifyRequest, "method" | "url" | "actor" | "body"> {
  readonly query: z.infer<typeof mutationQuery>;
  readonly headers: z.infer<typeof mutationHeaders>;
}

export interface MutationOptions {
  readonly settles?: boolean;
  readonly created?: boolean;
  readonly secretBody?: boolean;
}

/**
 * Turns a request into one command and its outcome into the answer: dry run, Idempotency-Key, If-Match, waiting, the
 * request log. One for the whole API, as it remembers what is under way.
 */
export class Mutations {
  readonly #deps: ApiDeps;
  readonly #salt = randomBytes(16).toString("hex");
  /** Idempotency-Key, of whose token → fingerprint of its request, oldest first. */
  readonly #fingerprints = new Map<string, string>();
  /** Request id → the same request, under way. */
  readonly #underway = new Map<string, Promise<Outcome>>();

  constructor(deps: ApiDeps) {
    this.#deps = deps;
  }

  /**
   * `settles`: whether the kernel has to agree before it is a success. `secretBody`: the body holds a password, so that
   * the log must not even hold a hash of it.
   */
  async run(
    request: MutationRequest,
    reply: FastifyReply,
    command: Command,
    { settles = true, created = false, secretBody = false }: MutationOptions = {},
  ): Promise<ResultDocument | PlanDocument> {
    const ifSeq = sequenceOf(request.headers["if-match"]);
    const { source } = request.actor;
    const { confirmWithin } = request.query;
    const envelope = {
      ...command,
      source,
      ...(ifSeq !== null && { ifSeq }),
      ...(confirmWithin !== undefined && { confirmWithin }),
    };
    if (request.query.dryRun === "true") return await this.#plan({ ...envelope, requestId: "dry-run" });
    const wait = settles && request.query.wait !== "false" && !this.#waitsForHaproxy(command);
    const key = request.headers["idempotency-key"];
    const requestId = key === undefined ? randomUUID() : this.#requestIdOf(key, request, secretBody);
    const started = performance.now();
    // As it is named before: a removal leaves no name.
    const said = commandText(command, this.#deps.controller.state);
    const ask = () => {
      const submission = { ...envelope, requestId };
      return wait ? this.#deps.controller.submitSettled(submission) : this.#deps.controller.submit(submission);
    };
    const { outcome, replayed } = await this.#once(key === undefined ? null : requestId, ask, wait);
    this.#remember(said, { command, source, outcome, durationMs: performance.now() - started });
    if (!outcome.ok) throw new RequestProblem(outcome.refusal);
    reply.header("portreeve-seq", outcome.seq);
    if (replayed) reply.header("idempotency-replayed", "true");
    reply.code(settles && !wait ? 202 : created && outcome.changed ? 201 : 200);
    return this.#result(outcome);
  }

  /** Logs that something is about to be done that changes nothing; refuses it if it cannot be logged. */
  async note({ actor }: { readonly actor: Pick<Actor, "source"> }, command: Command): Promise<void> {
    const outcome = await this.#deps.controller.submit({ ...command, source: actor.source, requestId: randomUUID() });
    if (!outcome.ok) throw new RequestProblem(outcome.refusal);
  }

  async #plan(command: Parameters<ApiDeps["controller"]["preview"]>[0]): Promise<PlanDocument> {
    const { controller, desired } = this.#deps;
    const before = controller.state;
    const { outcome, state, events } = controller.preview(command);
    if (!outcome.ok) throw new RequestProblem(outcome.refusal);
    const plan = planView(before, state, events, desired);
    return { ...plan, checks: await checksOf(plan.changes, state, desired) };
  }

  #result({ seq, changed, answer }: Accepted): ResultDocument {
    const ids = answer.kind === "ids" ? answer.ids : [];
    const awaited = Object.values(this.#deps.controller.state.confirmations).find(
      ({ seqs }) => seqs.at(-1) === seq - 1,
    );
    return {
      seq,
      changed,
      ...this.#about(ids),
      notes: this.#notes(ids),
      confirmation: awaited === undefined ? null : { id: awaited.id, until: isoTime(awaited.until) },
    };
  }

  /** An undo that is about a name is accepted without HAProxy, and nobody knows when it will be there. */
  #waitsForHaproxy(command: Command): boolean {
    const { controller } = this.#deps;
    if (command.type !== "change.revert" || this.#deps.sharesPorts()) return false;
    const { before, records } = command.change;
    const objects = [...objectsOf(records.map(({ event }) => event)).values()];
    return objects.some(({ kind, key }) => {
      const mapping = tableGet(controller.state.mappings, key) ?? tableGet(before.mappings, key);
      return kind.name === "port" && (mapping?.name ?? null) !== null;
    });
  }

  /** An undo gives back what nobody could ask for anew, and says so. */
  #notes(ids: readonly string[]): string[] {
    const { controller } = this.#deps;
    if (this.#deps.sharesPorts()) return [];
    const ports = ids.flatMap((id) => tableGet(controller.state.mappings, id) ?? []);
    const names = ports.flatMap(({ name, enabled }) => (enabled && name !== null ? [name] : []));
    return names.map((name) => `${name} leads nowhere yet: ${UNAVAILABLE.message}`);
  }

  /** What ids are of, as it is now. */
  #about(ids: readonly string[]): Pick<ResultDocument, "port" | "ports" | "subnet" | "device" | "record"> {
    const { state } = this.#deps.controller;
    const [id = ""] = ids;
    const ports = ids.flatMap((each) => tableGet(state.mappings, each) ?? []).map(portReader(this.#deps));
    const device = tableGet(state.devices, id);
    const subnet = state.subnets[id];
    return {
      port: ports[0] ?? null,
      ports,
      subnet: subnet === undefined ? null : subnetView(state, subnet),
      device: device === undefined ? null : deviceView(deviceContext(this.#deps), device),
      record: recordView({ state, deadlines: this.#deps.controller.deadlines }, id),
    };
  }

  /** The fingerprint is part of the id the log remembers, so that a key never brings another request's answer. */
  #requestIdOf(key: string, request: MutationRequest, secretBody: boolean): string {
    // With a key of this process nobody can try passwords on the fingerprint; after a restart the same key is a new request.
    const salt = secretBody ? this.#salt : null;
    // Programs choose their keys without knowing of each other; what people ask by is one account.
    const token = request.actor.kind === "token" ? request.actor.id : null;
    const { confirmWithin = null } = request.query;
    const more = token === null && confirmWithin === null ? [] : [token, confirmWithin];
    const text = canonicalJson([request.method, request.url.split("?", 1)[0], request.body ?? null, salt, ...more]);
    const fingerprint = createHash("sha256").update(text).digest("hex").slice(0, 16);
    const mine = token === null ? key : `${token} ${key}`;
    const known = this.#fingerprints.get(mine);
    if (known !== undefined && known !== fingerprint) {
      const message = "this Idempotency-Key was used for another request; use a new key for a new request";
      throw new RequestProblem({ code: "INVALID_REQUEST", message }, 422);
    }
    this.#fingerprints.set(mine, fingerprint);
    if (this.#fingerprints.size > KEYS_MAX) {
      for (const oldest of this.#fingerprints.keys()) {
        this.#fingerprints.delete(oldest);
        break;
      }
    }
    return `${key}.${fingerprint}`;
  }

  async #once(
    requestId: string | null,
    ask: () => Promise<Outcome>,
    wait: boolean,
  ): Promise<{ outcome: Outcome; replayed: boolean }> {
    if (requestId === null) return { outcome: await ask(), replayed: false };
    const underway = this.#underway.get(requestId);
    if (underway !== undefined) return { outcome: await underway, replayed: true };
    let replayed = false;
    const outcome = (async () => {
      const remembered = (await this.#deps.answers.get(requestId)) as Accepted | undefined;
      if (remembered === undefined) return await ask();
      replayed = true;
      return await this.#replay(remembered, wait);
    })();
    this.#underway.set(requestId, outcome);
    try {
      return { outcome: await outcome, replayed };
    } finally {
      this.#underway.delete(requestId);
    }
  }

  /** What was logged may have been withdrawn since, when the kernel refused it: then the answer was, and is, a refusal. */
  async #replay(remembered: Accepted, wait: boolean): Promise<Outcome> {
    const { controller, history } = this.#deps;
    const missing = (remembered.made ?? []).filter(({ mappingId, claimKey }) => {
      const mapping = tableGet(controller.state.mappings, mappingId);
      return mapping?.claims.every((claim) => claim.key !== claimKey) ?? true;
    });
    if (missing.length > 0) {
      const after = Math.max(remembered.seq, await history.readableAfter());
      for await (const { event } of history.records(after)) {
        if (event.type !== "lease.released" || event.data.reason !== "withdrawn") continue;
        const { mappingId, claimKey } = event.data;
        if (!missing.some((claim) => claim.mappingId === mappingId && claim.claimKey === claimKey)) continue;
        const message = "the change did not become effective; the promise was withdrawn";
        return { ok: false, refusal: { code: "NOT_SETTLED", message, retryAfter: 30 } };
      }
    }
    if (wait) await waitForSeq(controller, remembered.seq);
    return remembered;
  }

  #remember(
    request: string,
    {
      command,
      source,
      outcome,
      durationMs,
    }: { readonly command: Command; readonly source: string; readonly outcome: Outcome; readonly durationMs: number },
  ): void {
    this.#deps.requestLog.add({
      at: this.#deps.clock.now(),
      protocol: "api",
      from: source.slice("api:".length),
      interface: null,
      request,
      decision: outcome.ok ? decisionOf(command) : "refused",
      code: outcome.ok ? null : outcome.refusal.code,
      message: outcome.ok
        ? outcome.changed
          ? `done by record ${outcome.seq}`
          : "it was so already"
        : outcome.refusal.message,
      durationMs,
    });
  }
}

/** Of many it is what they are all. */
function decisionOf(command: Command): RequestEntry["decision"] {
  if (command.type === "port.batch") {
    const decisions = new Set(command.changes.map(decisionOf));
    return decisions.size === 1 ? ([...decisions][0] as RequestEntry["decision"]) : "answered";
  }
  if (command.type === "port.add") return "granted";
  return command.type === "port.remove" || command.type === "port.block" ? "released" : "answered";
}

/** `If-Match: 1842` or `"1842"`, as an entity tag would be quoted. */
export function sequenceOf(header: string | undefined): number | null {
  return header === undefined ? null : Number(header.replaceAll('"', ""));
}
