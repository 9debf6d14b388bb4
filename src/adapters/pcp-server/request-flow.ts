import { randomUUID } from "node:crypto";
import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";
import type { DropLog } from "../../lib/drop-log.ts";
import { RateLimit } from "../../lib/rate-limit.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import type { RequestLog } from "../../lib/request-log.ts";
import { isOnLink } from "../../lib/served-address.ts";
import type { MapRequest, Outcome, UnmapRequest } from "../../reducers/decide/command.ts";
import { answer } from "./answer.ts";
import type { Endpoint } from "./bound-socket.ts";
import { FairQueue } from "./fair-queue.ts";
import type { Answer, Reply, Standing } from "./exchange.ts";
import type { Link } from "./link.ts";

/** Requests that the controller and the kernel have at once: a commit group. */
const IN_FLIGHT_MAX = 256;
/** Requests waiting for that, in turns: room for each address of a /24. The rest is dropped (RFC 6887 §8.2). */
const WAITING_MAX = { perSource: 16, total: 4096 };
/** libuv reads this many datagrams of a socket in a turn of the event loop; as many mean that more are there. */
const DATAGRAMS_PER_TURN = 32;
/** So long reading goes before deciding. */
const READING_TURNS_MAX = 64;

/**
 * Shares of one address: its owner's, and all that the guard leaves to strangers. Here stations are unknown, and were
 * it less, whoever borrows a neighbour's address could use it up and silence the neighbour.
 */
const SHARES_OF_ADDRESS = 3;

export interface RequestFlowOptions {
  readonly controller: ControllerPort;
  readonly clock: Clock;
  readonly requests: RequestLog;
  readonly drops: DropLog;
  readonly links: () => Iterable<Link>;
  readonly standingOn: (served: string, client: string | null) => Standing;
  readonly ipv4Of: (served: string, address: string) => Promise<string | null>;
  /** A PCP or NAT-PMP claim was granted or renewed by a request from there. */
  readonly onClaimHeard: (mappingId: string, claimKey: string, client: Endpoint) => void;
  /** A request answered with one claim has renewed this one too. */
  readonly onClaimTouched: (mappingId: string, claimKey: string, client: Endpoint) => void;
}

type Asking = Extract<Answer, { kind: "ask" }>;

interface Received {
  readonly link: Link;
  readonly source: Endpoint;
  readonly at: number;
}

/** Takes each datagram from reception to its reply, or to silence. */
export class RequestFlow {
  readonly #options: RequestFlowOptions;
  readonly #rate = new RateLimit();
  readonly #waiting = new FairQueue<() => void>(WAITING_MAX);
  /** Commands under way, by all that makes them the same: a retransmission waits for the first one's outcome. */
  readonly #inFlight = new Map<string, Promise<Outcome>>();

  /** Datagrams in this turn of the event loop, and full turns in a row before it. */
  #heard = 0;
  #fullTurns = 0;

  constructor(options: RequestFlowOptions) {
    this.#options = options;
  }

  receive(link: Link, bytes: Uint8Array, source: Endpoint): void {
    this.#heard += 1;
    if (this.#heard === 1 && this.#fullTurns === 0) setImmediate(() => this.#endTurn());
    const { clock, controller, drops, standingOn } = this.#options;
    const at = clock.now();
    const hindrance = this.#hindrance(link, source, at);
    const drop = (why: string): void => drops.add({ interface: link.interface, from: source.address, why });
    if (hindrance !== null) return drop(hindrance);
    const datagram = { bytes, address: source.address, port: source.port, interface: link.interface };
    const said = answer(datagram, standingOn(link.interface, source.address));
    const received = { link, source, at };
    if (said.kind === "drop") return drop(said.message);
    if (said.kind === "reply") return this.#reply(received, said, said.reply);
    const ask = (): void => void this.#ask(received, said, controller);
    const calm = this.#fullTurns === 0 && this.#waiting.size === 0 && this.#inFlight.size < IN_FLIGHT_MAX;
    if (calm || this.#inFlight.has(identityOf(said.command))) return ask();
    if (!this.#waiting.push(`${link.interface} ${source.address}`, ask)) drop("too many requests are under way");
  }

  /** Why a datagram is not even looked at; null if it is. */
  #hindrance(link: Link, source: Endpoint, now: number): string | null {
    if (source.port === 0) return "source port 0 cannot be answered";
    if (!isOnLink(this.#options.links(), link.interface, source.address)) return "the source is not on this link";
    const { requestsPerSecond } = this.#options.controller.state.settings.portControl.perDevice;
    const most = requestsPerSecond * SHARES_OF_ADDRESS;
    if (this.#rate.take(`${link.interface} ${source.address}`, most, now)) return null;
    return `more than ${most} requests a second`;
  }

  async #ask(received: Received, asking: Asking, controller: ControllerPort): Promise<void> {
    const { command, replyTo } = asking;
    const key = identityOf(command);
    const underWay = this.#inFlight.get(key);
    const outcome = await (underWay ?? this.#submit(key, command, controller));
    const answered = outcome.ok && outcome.answer.kind === "mapped" ? outcome.answer : null;
    for (const { mappingId, claimKey } of answered === null ? [] : [answered, ...(answered.more ?? [])]) {
      if (claimKey !== null) this.#options.onClaimHeard(mappingId, claimKey, received.source);
    }
    const { epoch } = this.#options.standingOn(received.link.interface, received.source.address);
    const request = underWay === undefined ? asking.request : `${asking.request} (repeated while under way)`;
    this.#reply(received, { ...asking, request }, replyTo(outcome, epoch));
    for (const { mappingId, claimKey } of answered?.touched ?? []) {
      this.#options.onClaimTouched(mappingId, claimKey, received.source);
    }
  }

  #submit(key: string, command: MapRequest | UnmapRequest, controller: ControllerPort): Promise<Outcome> {
    const source = `${command.by}:${command.device}`;
    const envelope = { source, requestId: `${command.by}-${randomUUID()}` };
    // What an address has, it may give back, whoever it is.
    const outcome =
      command.type === "map" && isIpv6(command.device)
        ? this.#options
            .ipv4Of(command.interface, command.device)
            .then((host) => controller.submitSettled({ ...command, host, ...envelope }))
        : controller.submitSettled({ ...command, ...envelope });
    this.#inFlight.set(key, outcome);
    // Who waits for the outcome sees a rejection; this chain only tidies up.
    void outcome.finally(() => this.#next(key)).catch(() => undefined);
    return outcome;
  }

  #next(ended: string): void {
    this.#inFlight.delete(ended);
    if (this.#fullTurns === 0) this.#letIn();
  }

  /**
   * Under a flood the socket is emptied before anything is decided: what still lies in it has no turn yet, and when its
   * buffer is full the kernel drops whoever comes, the polite ones as well.
   */
  #endTurn(): void {
    const full = this.#heard >= DATAGRAMS_PER_TURN && this.#fullTurns < READING_TURNS_MAX;
    this.#heard = 0;
    this.#fullTurns = full ? this.#fullTurns + 1 : 0;
    if (full) setImmediate(() => this.#endTurn());
    else this.#letIn();
  }

  /** A repetition of what is under way takes no place, so one that ends may let in several. */
  #letIn(): void {
    while (this.#inFlight.size < IN_FLIGHT_MAX && this.#waiting.size > 0) this.#waiting.shift()?.();
  }

  #reply(
    { link, source, at }: Received,
    { protocol, request }: Pick<Answer, "protocol" | "request">,
    { bytes, decision, code, message }: Reply,
  ): void {
    link.socket.send(bytes, source);
    const { clock, requests } = this.#options;
    requests.add({
      at,
      protocol,
      from: source.address,
      interface: link.interface,
      request,
      decision,
      code,
      message,
      durationMs: clock.now() - at,
    });
  }
}

/** The port a request came from does not make it another one: a client may retransmit from a new socket. */
function identityOf(command: MapRequest | UnmapRequest): string {
  return JSON.stringify(command.type === "map" ? { ...command, clientPort: 0 } : command);
}
