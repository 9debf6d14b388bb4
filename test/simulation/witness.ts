import type { EventLog } from "../../src/events/log.ts";
import type { PortreeveRecord } from "../../src/events/index.ts";
import type { Answer, MapRequest, Outcome } from "../../src/reducers/decide/command.ts";
import { blockKey, type PromisedClaim, type PromisedMapping, Promises } from "./promises.ts";
import { answeredOf, isGivenBack, isOfSharers, wrongSharedAnswer } from "./share-rules.ts";
import { overdue, wrongRefusal, wrongSuccess } from "./right-answers.ts";
import { isOfGuests } from "./right-rules.ts";
import { Rights } from "./rights.ts";
import { leaseOf, refusalOf, updated, wrongNames } from "./name-rules.ts";
import { transportName } from "./places.ts";
import { keyOf, type Sent, unjustified } from "./rules.ts";

type Accepted = Extract<Outcome, { ok: true }>;
/** Refusals that say something of the moment and not of the request. */
const EXCUSES = new Set(["NOT_READY", "LOG_WRITE_FAILED", "NOT_SETTLED", "APPLY_FAILED"]);

/** What is taken back is a whole state and its records. */
const textOf = (sent: Sent | undefined): string =>
  JSON.stringify(sent, (key, value: unknown) => (key === "change" ? "…" : value));

/**
 * Stands outside the program: knows what was sent, what is durable and what was answered, and holds them against each
 * other in the order in which the single writer decided.
 */
export class Witness {
  readonly promises: Promises;
  readonly violations: string[] = [];
  readonly #log: EventLog;
  readonly #sent = new Map<string, Sent>();
  readonly #undecided = new Map<string, Sent>();
  readonly #pending: PortreeveRecord[] = [];
  #paidFor = "";
  /** Gateway time of the last command. */
  #lastNow = 0;
  #told: { readonly epochStartedBy: number; readonly seconds: number } | null = null;

  /** `rights`: those of some are played with. */
  constructor(log: EventLog, rights: boolean) {
    this.#log = log;
    this.promises = new Promises(rights ? new Rights() : null);
  }

  /** A process begins where another ended. */
  restarted(now: number): void {
    this.foldAll();
    this.#undecided.clear();
    this.promises.restarted(now, this.#lastNow);
    this.#lastNow = now;
  }

  sent(command: Sent): void {
    this.#lastNow = Math.max(this.#lastNow, command.now);
    this.#sent.set(command.requestId, command);
    this.#undecided.set(command.requestId, command);
  }

  /** Durable, whoever learns of it. */
  appended(records: readonly PortreeveRecord[]): void {
    this.#pending.push(...records);
  }

  /** Everything that is durable has its place, also what was never answered. */
  foldAll(): void {
    this.#foldThrough(this.#log.head.seq);
  }

  /** Called for each outcome in the order of the decisions. */
  decided(command: Sent, outcome: Outcome): void {
    this.#undecided.delete(command.requestId);
    if (!outcome.ok) {
      this.#judgeRefusal(command, outcome.refusal.code);
      return;
    }
    this.#foldThrough(outcome.seq, command.requestId);
    const wanted = command.type === "dns.update" ? this.#wantedOf(command) : null;
    const claimBefore = command.type === "map" ? this.#claimOf(command) : undefined;
    const lifetimeBefore = claimBefore?.lifetimeMs ?? null;
    this.#foldThrough(outcome.seq);
    this.#check(command, outcome, lifetimeBefore);
    if (command.type === "dns.update") this.#checkUpdated(command, outcome, wanted);
    this.#checkRights(command.type);
    for (const each of overdue(this.promises)) this.fail(`after ${command.type}: ${each}`);
  }

  /** What an update that was carried out must come to, by what was there before. */
  #wantedOf({ device, update }: Extract<Sent, { type: "dns.update" }>): ReturnType<typeof updated> {
    const { names } = this.promises;
    const refusal = refusalOf(names, device, update);
    if (refusal !== null) this.fail(`an update was carried out that had to be refused with ${refusal}`);
    return updated(names, update);
  }

  #checkUpdated(
    { update, now }: Extract<Sent, { type: "dns.update" }>,
    { answer }: Accepted,
    wanted: ReturnType<typeof updated> | null,
  ): void {
    const { names } = this.promises;
    const wrong = wanted === null ? null : wrongNames(wanted, names);
    if (wrong !== null) this.fail(wrong);
    const lease = leaseOf(update);
    if (answer.kind !== "updated" || answer.lease !== lease) return this.fail("an update was granted another lease");
    // What it says is there lives from now on.
    for (const change of update.changes) {
      if (change.kind !== "add") continue;
      for (const record of names.at(change.name)) {
        if (record.type === change.type && record.value === change.value)
          record.promised = record.latest = now + lease * 1000;
      }
    }
  }

  /** Nothing of a device stays published that it may not publish. */
  #checkRights(command: string): void {
    const { names } = this.promises;
    for (const { id, device, name } of names.records.values()) {
      const refusal = device === null ? null : names.refusalOf(device, name);
      if (refusal !== null) this.fail(`${command} left ${name} (${id}) of ${device}, which is without right to it`);
    }
  }

  /** A success reached the client: what it was told holds from here on. */
  told(outcome: Outcome): void {
    if (!outcome.ok || outcome.answer.kind !== "mapped") return;
    for (const { mappingId, claimKey } of answeredOf(outcome.answer)) {
      const claim = this.promises.mappings.get(mappingId)?.claims.get(claimKey);
      if (claim !== undefined) claim.told = true;
    }
  }

  /** RFC 6887 §8.5, RFC 6886 §3.6: what any reply says, and it never goes back while one epoch lasts. */
  toldEpoch(seconds: number): void {
    const { epochStartedBy } = this.promises;
    if (this.#told?.epochStartedBy === epochStartedBy && seconds < this.#told.seconds) {
      this.fail(`a client was told epoch ${seconds} after ${this.#told.seconds}`);
    }
    this.#told = { epochStartedBy, seconds };
  }

  fail(message: string): void {
    this.violations.push(message);
  }

  /** `before`: only what comes before the records of this request. */
  #foldThrough(seq: number, before?: string): void {
    while (this.#pending[0] !== undefined && this.#pending[0].seq <= seq && this.#pending[0].requestId !== before) {
      const record = this.#pending.shift() as PortreeveRecord;
      const sent = this.#sentAs(record.requestId);
      const why = unjustified(record, sent, this.promises, [...this.#undecided.values()]);
      // The second event of one request is paid for by the tokens there were at its first.
      const secondOfRequest = why?.includes("budget") === true && this.#paidFor === record.requestId;
      if (why !== null && !secondOfRequest)
        this.fail(`record ${record.seq} (${record.event.type}): ${why}, by ${textOf(sent)}`);
      this.#paidFor = record.requestId;
      this.promises.fold(record);
    }
  }

  /** The controller ends what is overdue before it decides a request: after a suspend the lease clock may be late. */
  #sentAs(requestId: string): Sent | undefined {
    const [, request] = /^before (.*)$/.exec(requestId) ?? [];
    const sent = this.#sent.get(request ?? requestId);
    if (sent === undefined || request === undefined) return sent;
    return { type: "leases.expire", source: "clock", requestId, now: sent.now };
  }

  #claimOf(command: MapRequest): PromisedClaim | undefined {
    const own = this.promises.to(command.device, transportName(command.protocol), command.internalPort);
    return own.map((mapping) => mapping.claims.get(keyOf(command))).find((claim) => claim !== undefined);
  }

  #judgeRefusal(command: Sent, code: string): void {
    if (code === "INTERNAL") this.fail(`${command.type} met a bug`);
    if (command.type === "dns.update" && !EXCUSES.has(code) && !code.includes("QUOTA")) {
      const wanted = refusalOf(this.promises.names, command.device, command.update);
      if (wanted !== code) this.fail(`an update was refused with ${code} and not ${wanted}`);
    }
    if (isOfGuests(command, this.promises)) {
      const wrong = EXCUSES.has(code) ? null : wrongRefusal(command, code, this.promises);
      if (wrong !== null) this.fail(wrong);
      return;
    }
    if (isOfSharers(command, this.promises)) return;
    if (command.type !== "map" || command.preferFailure || EXCUSES.has(code)) return;
    if (![6, 17].includes(command.protocol) || command.internalPort === 0) return;
    const protocol = transportName(command.protocol);
    const own = this.promises.to(command.device, protocol, command.internalPort);
    const mine = own.find(({ claims }) => claims.has(keyOf(command)));
    const withoutAddress = this.promises.addressesOf(this.promises.preferredWan()) === null;
    if (mine === undefined || !mine.enabled || withoutAddress) return;
    if (!this.promises.blocks.has(blockKey({ ...command, protocol }))) {
      this.fail(`${command.device} was refused the renewal of ${mine.id} with ${code}`);
    }
  }

  #check(command: Sent, outcome: Accepted, lifetimeBefore: number | null): void {
    if (isOfGuests(command, this.promises)) this.#checkGuests(command, outcome);
    if ("device" in command && isOfSharers(command, this.promises)) return this.#checkShared(command, outcome.answer);
    switch (command.type) {
      case "map":
        if (isOfGuests(command, this.promises)) return;
        if (outcome.answer.kind === "mapped") this.#checkMapped(command, outcome, outcome.answer, lifetimeBefore);
        else this.fail(`map was answered ${outcome.answer.kind}`);
        return;
      case "unmap":
        if (isOfGuests(command, this.promises)) return;
        this.#checkGone(`${keyOf(command)} of ${command.device}`, (mapping, claim) => {
          if (claim.key !== keyOf(command) || mapping.internalAddress !== command.device) return false;
          if (command.protocol !== 0 && transportName(command.protocol) !== mapping.protocol) return false;
          return command.internalPort === 0 || command.internalPort === mapping.internalPort;
        });
        return;
      case "withdraw":
        this.#checkGone(command.claimKey, (mapping, claim) => {
          return mapping.id === command.mappingId && claim.key === command.claimKey;
        });
        return;
      case "leases.expire":
        this.#checkGone("a lease", (_mapping, claim) => claim.latest !== null && claim.latest <= command.now);
        return;
      default:
        this.#checkOperator(command, outcome);
    }
  }

  #checkGuests(command: Sent, outcome: Accepted): void {
    const why = wrongSuccess(command, outcome, this.promises);
    if (why !== null) this.fail(why);
  }

  #checkShared(command: Sent, answer: Answer): void {
    const why = answer.kind === "mapped" ? wrongSharedAnswer(command, answer, this.promises) : null;
    if (why !== null) this.fail(why);
    this.#checkGone(command.type, (mapping, { key }) => isGivenBack(command, mapping, key));
  }

  #checkGone(what: string, isIt: (mapping: PromisedMapping, claim: PromisedClaim) => boolean): void {
    for (const mapping of this.promises.mappings.values()) {
      for (const claim of mapping.claims.values()) {
        if (isIt(mapping, claim)) this.fail(`${what} should have ended on ${mapping.id} (${claim.key})`);
      }
    }
  }

  #checkOperator(command: Sent, outcome: Accepted): void {
    const { mappings } = this.promises;
    const [id = ""] = outcome.answer.kind === "ids" ? outcome.answer.ids : [];
    const mapping = mappings.get(id);
    switch (command.type) {
      case "port.remove":
      case "port.block":
        if (mappings.has(command.id)) this.fail(`${command.type} left ${command.id} there`);
        return;
      case "port.add":
        if (mapping?.claims.has("manual") !== true) this.fail("port.add made no port of the operator's");
        else if (mapping.enabled !== command.enabled) this.fail("port.add forgot whether the port is enabled");
        return;
      case "port.keep":
        if (mapping?.claims.get("manual")?.latest !== null) this.fail("port.keep made no claim without an end");
        return;
      case "port.edit":
        for (const field of ["externalPort", "internalPort", "internalAddress", "count", "enabled"] as const) {
          if (command[field] !== undefined && mapping?.[field] !== command[field]) this.fail(`port.edit left ${field}`);
        }
        return;
      default:
    }
  }

  #checkMapped(
    command: MapRequest & Sent,
    outcome: Accepted,
    answer: Extract<Answer, { kind: "mapped" }>,
    lifetimeBefore: number | null,
  ): void {
    const { mappingId, claimKey, externalAddress, externalPort, lifetime } = answer;
    const mapping = this.promises.mappings.get(mappingId);
    if (mapping === undefined) return this.fail(`answered with mapping ${mappingId}, which nothing made`);
    const own = this.promises.to(command.device, transportName(command.protocol), command.internalPort);
    if (!own.includes(mapping)) this.fail(`answered with mapping ${mappingId}, which goes elsewhere`);
    if (!mapping.enabled) this.fail(`answered with mapping ${mappingId}, which is disabled`);
    const port = mapping.externalPort + (command.internalPort - mapping.internalPort);
    if (externalPort !== port) this.fail(`answered port ${externalPort}, the mapping has ${port}`);
    const address = this.promises.addressesOf(mapping.wan)?.reported;
    if (externalAddress !== address) this.fail(`answered address ${externalAddress}, the WAN has ${address}`);
    const limits = this.promises.settings?.portControl.lifetime ?? { pcpMin: 0, max: 0 };
    const capped = Math.min(command.lifetime, limits.max);
    const wanted = command.by === "pcp" ? Math.max(capped, limits.pcpMin) : capped;
    if (claimKey === null) return this.#checkStatic(mapping, command, lifetime);
    const claim = mapping.claims.get(claimKey);
    if (claim === undefined || claimKey !== keyOf(command)) return this.fail(`answered for claim ${claimKey}`);
    if (lifetimeBefore !== null && lifetime * 1000 <= lifetimeBefore && outcome.changed) {
      this.fail("a renewal that lengthens nothing made an event");
    }
    const short = lifetimeBefore !== null && lifetime * 1000 === lifetimeBefore && lifetime < wanted;
    if (lifetime !== wanted && !short) this.fail(`asked for ${wanted} s and was promised ${lifetime} s`);
    claim.promised = claim.latest = command.now + lifetime * 1000;
  }

  /** RFC 6887 §11.3: a static mapping is confirmed, for no longer than it will be there. */
  #checkStatic(mapping: PromisedMapping, command: MapRequest & Sent, lifetime: number): void {
    const claims = [...mapping.claims.values()];
    if (mapping.count === 1 && claims.some(({ source }) => source !== "manual")) {
      this.fail(`${mapping.id} is no static mapping, and nothing was stored for ${command.device}`);
    }
    const ends = claims.map(({ latest }) => latest ?? Number.POSITIVE_INFINITY);
    const until = command.now + lifetime * 1000;
    if (lifetime > 1 && until > Math.max(...ends)) this.fail(`${mapping.id} was promised beyond its end`);
  }
}
