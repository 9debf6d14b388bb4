import { HEADER_OCTETS, OPCODE, RCODE } from "../../../../protocols/dns/constants.ts";
import { decodeMessage } from "../../../../protocols/dns/decode.ts";
import { encodeMessage } from "../../../../protocols/dns/encode.ts";
import { DnsDecodeError } from "../../../../protocols/dns/error.ts";
import type { Header, TsigRecord } from "../../../../protocols/dns/message.ts";
import { AnswerMemory, withIdOf } from "./answer-memory.ts";
import { type Asked, bare, type Client, finish, type Reply } from "./exchange.ts";
import type { Forwarding } from "../forwarder/forwarding.ts";
import { listenerKey } from "../../messages.ts";
import type { Queries } from "./queries.ts";
import { errorTo } from "./reply.ts";
import { blockOf, ResponseRate } from "./response-rate.ts";
import { type Signing, signingOf } from "./signing.ts";
import type { Tally } from "../tally.ts";
import type { Updates } from "./updates.ts";
import type { View, Views } from "../zones/views.ts";
import type { ZoneData } from "../zones/zone-data.ts";

/** RFC 1035 §4.1.1, in the header's third octet. */
const TC = 0x02;

/** Answers of one kind a second: to strangers of one network, to what is no DNS, and to one client of a LAN. */
const STRANGER_RATE = 5;
const MALFORMED_RATE = 0.5;
const SAME_QUESTION_RATE = 20;

export interface ResponderParts {
  readonly zones: ZoneData;
  readonly views: Views;
  readonly forwarding: Forwarding;
  readonly queries: Queries;
  readonly updates: Updates;
  readonly tally: Tally;
  readonly nowSeconds: () => number;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
  /** A signature that was not taken, for the log: the client is told a number only. */
  readonly onBadSignature: (client: Client, tsig: TsigRecord, why: string) => void;
}

/** From a message's octets to its answer's, for every transport alike. */
export class Responder {
  readonly #parts: ResponderParts;
  readonly #memory = new AnswerMemory();
  readonly #rate = new ResponseRate();
  readonly #names = new WeakMap<object, string>();

  constructor(parts: ResponderParts) {
    this.#parts = parts;
  }

  respond(bytes: Uint8Array, client: Client): Reply | Promise<Reply> {
    // Neither what has no header nor an answer is answered: two servers would talk to each other for ever.
    if (bytes.length < HEADER_OCTETS || ((bytes[2] as number) & 0x80) !== 0) return null;
    const { views, tally } = this.#parts;
    const view = views.get(client.listener.view);
    if (view === undefined || !view.admits(client.address)) return this.#refuseStranger(bytes, client);
    const key = this.#memory.keyOf(bytes, this.#nameOf(client));
    const known = key === null ? undefined : this.#memory.get(key, this.#version);
    if (key === null || known === undefined) return this.#read(bytes, client, view, key);
    if (known !== "forward") {
      tally.count(client.transport, "zone");
      return this.#limited(withIdOf(known, bytes), client, view);
    }
    return this.#forwardAgain(bytes, client, view);
  }

  get #version(): number {
    return this.#parts.zones.version + this.#parts.views.version;
  }

  #nameOf({ listener, transport }: Client): string {
    let name = this.#names.get(listener);
    if (name === undefined) {
      name = listenerKey(listener);
      this.#names.set(listener, name);
    }
    return transport + name;
  }

  #read(bytes: Uint8Array, client: Client, view: View, memoryKey: string | null): Reply | Promise<Reply> {
    try {
      const { message: request, tsig } = decodeMessage(bytes);
      const signing = this.#signingOf(bytes, tsig, client, view);
      if (signing.kind === "failed") {
        return this.#badSignature(signing, client, bare({ request, client }, RCODE[signing.rcode]));
      }
      return this.#answer({ bytes, client, view, request, signing }, tsig === null ? memoryKey : null);
    } catch (cause) {
      if (!(cause instanceof DnsDecodeError)) throw cause;
      return this.#malformed(bytes, client, view, cause);
    }
  }

  #signingOf(bytes: Uint8Array, tsig: TsigRecord | null, client: Client, view: View): Signing {
    const { views, nowSeconds } = this.#parts;
    return signingOf(bytes, tsig, (name) => views.keyAt(view.view, client.address, name), nowSeconds());
  }

  #answer(asked: Asked, memoryKey: string | null): Reply | Promise<Reply> {
    const { request, client, view } = asked;
    const { queries, updates, tally } = this.#parts;
    // RFC 6891 §6.1.3: which version we have is in the OPT record of the answer.
    if (request.edns !== null && request.edns.version > 0) return finish(asked, { rcode: RCODE.BADVERS });
    if (request.opcode === OPCODE.UPDATE) return updates.answer(asked);
    if (request.opcode !== OPCODE.QUERY) {
      tally.count(client.transport, "refused");
      return finish(asked, { rcode: RCODE.NOTIMP });
    }
    const { reply, remember } = queries.answer(asked);
    if (memoryKey !== null && remember === "forward") this.#memory.set(memoryKey, this.#version, "forward");
    if (memoryKey !== null && remember === "answer" && reply instanceof Uint8Array)
      this.#memory.set(memoryKey, this.#version, reply);
    // Who signs has proven who it is.
    if (asked.signing.kind !== "none") return reply;
    return reply instanceof Promise
      ? reply.then((ready) => this.#limited(ready, client, view))
      : this.#limited(reply, client, view);
  }

  /** Asked before, and not ours then: nothing has changed, so it need not be read to know that. */
  #forwardAgain(bytes: Uint8Array, client: Client, view: View): Reply | Promise<Reply> {
    const answer = this.#parts.forwarding.forward(bytes, client);
    const limited = (ready: Uint8Array): Reply => (ready.length === 0 ? null : this.#limited(ready, client, view));
    return answer instanceof Promise ? answer.then(limited) : limited(answer);
  }

  /** Where a source may be a lie, answers to it are counted; what came by TCP or by a tunnel is no lie. */
  #limited(reply: Reply, client: Client, view: View): Reply {
    if (client.transport === "tcp" || view.sourcesAreProven || !(reply instanceof Uint8Array)) return reply;
    const verdict = this.#rate.take(
      `${client.address} ${questionOf(reply)}`,
      SAME_QUESTION_RATE,
      this.#parts.monotonic(),
    );
    if (verdict === "send") return reply;
    this.#parts.tally.count(client.transport, "limited");
    return verdict === "drop" ? null : truncated(reply);
  }

  /** Somebody of another subnet, or of none: the view's names are not even denied to them. */
  #refuseStranger(bytes: Uint8Array, client: Client): Reply {
    const { tally, monotonic } = this.#parts;
    tally.count(client.transport, "refused");
    const over =
      client.transport === "udp" && this.#rate.take(`stranger ${blockOf(client.address)}`, STRANGER_RATE, monotonic());
    if (over !== false && over !== "send") return null;
    try {
      return bare({ request: decodeMessage(bytes).message, client }, RCODE.REFUSED);
    } catch (cause) {
      if (!(cause instanceof DnsDecodeError)) throw cause;
      return cause.header === null ? null : error(cause.header, RCODE.REFUSED);
    }
  }

  /** RFC 8945 §5.2: an error that is not signed tells nothing that a stranger may not know. */
  #badSignature(signing: Extract<Signing, { kind: "failed" }>, client: Client, reply: Uint8Array): Reply {
    const { tally, onBadSignature } = this.#parts;
    tally.count(client.transport, "unsigned");
    onBadSignature(client, signing.tsig, signing.why);
    return signing.answer(reply);
  }

  #malformed(bytes: Uint8Array, client: Client, view: View, fault: DnsDecodeError): Reply {
    const { tally, monotonic } = this.#parts;
    const { header, tsig } = fault;
    tally.count(client.transport, "malformed");
    if (header === null) return null;
    if (tsig !== null) {
      const signing = this.#signingOf(bytes, tsig, client, view);
      if (signing.kind === "failed") return this.#badSignature(signing, client, error(header, RCODE[signing.rcode]));
      if (signing.kind === "verified") return signing.sign(error(header, RCODE.FORMERR));
    }
    // Two servers that find each other's messages malformed must come to rest.
    const limited =
      client.transport === "udp" && this.#rate.take(`malformed ${client.address}`, MALFORMED_RATE, monotonic());
    return limited === false || limited === "send" ? error(header, RCODE.FORMERR) : null;
  }
}

function error(header: Header, rcode: number): Uint8Array {
  return encodeMessage(errorTo(header, rcode));
}

/** The octet behind the question's name. */
function nameEnd(reply: Uint8Array): number {
  let end = HEADER_OCTETS;
  while (end < reply.length && reply[end] !== 0) end += 1 + (reply[end] as number);
  return end + 1;
}

/** What an answer is to, however it was asked: neither the case of a name nor an option makes a question another one. */
function questionOf(reply: Uint8Array): string {
  const end = nameEnd(reply);
  const octets = Buffer.from(reply.buffer, reply.byteOffset, reply.length);
  const name = octets.toString("latin1", HEADER_OCTETS, end).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return name + octets.toString("latin1", end, end + 4);
}

/** Nothing but the question, and TC: who really asked comes by TCP. The rest may be an upstream's, and is not read. */
function truncated(reply: Uint8Array): Uint8Array {
  const hasQuestion = reply[5] === 1;
  const cut = Uint8Array.from(reply.subarray(0, hasQuestion ? nameEnd(reply) + 4 : HEADER_OCTETS));
  cut[2] = (cut[2] as number) | TC;
  // ANCOUNT, NSCOUNT, ARCOUNT.
  cut.fill(0, 6, HEADER_OCTETS);
  return cut;
}
