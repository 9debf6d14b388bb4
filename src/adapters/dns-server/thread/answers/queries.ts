import { CLASS, RCODE, TYPE } from "../../../../protocols/dns/constants.ts";
import { EXTENDED_ERROR, extendedError } from "../../../../protocols/dns/extended-error.ts";
import type { Question } from "../../../../protocols/dns/message.ts";
import { type Answered, answerFrom } from "../zones/authority.ts";
import { type Asked, finish, finishWith, type Reply } from "./exchange.ts";
import type { Forwarding } from "../forwarder/forwarding.ts";
import { RateLimit } from "../../../../lib/rate-limit.ts";
import type { Tally } from "../tally.ts";
import { transferReplies } from "./transfer.ts";
import type { ZoneData } from "../zones/zone-data.ts";

/** A second, of one device, and at once; a zone of many names counts as several. */
const TRANSFERS = 4;
const RECORDS_OF_ONE = 1000;

/** What a question led to, and whether the same octets lead to the same answer until something changes. */
export interface QueryReply {
  readonly reply: Reply | Promise<Reply>;
  readonly remember: "answer" | "forward" | null;
}

/** Opcode 0: from our own zones, or from elsewhere. */
export class Queries {
  readonly #zones: ZoneData;
  readonly #forwarding: Forwarding;
  readonly #tally: Tally;
  readonly #transfers = new RateLimit();
  /** Milliseconds that never go back. */
  readonly #monotonic: () => number;

  constructor(zones: ZoneData, forwarding: Forwarding, tally: Tally, monotonic: () => number) {
    this.#zones = zones;
    this.#forwarding = forwarding;
    this.#tally = tally;
    this.#monotonic = monotonic;
  }

  answer(asked: Asked): QueryReply {
    const { request, view, client } = asked;
    const [question] = request.questions;
    // RFC 9619: a query has one question.
    if (question === undefined || request.questions.length > 1) return this.#error(asked, RCODE.FORMERR, "malformed");
    if (question.type === TYPE.AXFR || question.type === TYPE.IXFR) return this.#transfer(asked, question);
    // `version.bind` and the like are nobody's business.
    if (question.class !== CLASS.IN && question.class !== CLASS.ANY)
      return this.#error(asked, RCODE.REFUSED, "refused");
    // What can be no data of a zone can be no question either (RFC 6895 §3.1).
    if (question.type === TYPE.OPT || question.type === TYPE.TSIG || question.type === TYPE.TKEY) {
      return this.#error(asked, RCODE.FORMERR, "malformed");
    }
    const answered = answerFrom(this.#zones, view, question);
    if (answered === null) return { reply: this.#forward(asked), remember: "forward" };
    this.#tally.count(client.transport, "zone");
    if (answered.outside !== null) return { reply: this.#follow(asked, question, answered), remember: null };
    // Nobody is the authority of all classes there may be (RFC 1034 §3.7.1).
    const authoritative = question.class === CLASS.IN;
    return { reply: finish(asked, { ...answered, authoritative }), remember: "answer" };
  }

  #error(asked: Asked, rcode: number, result: "malformed" | "refused"): QueryReply {
    this.#tally.count(asked.client.transport, result);
    return { reply: finish(asked, { rcode }), remember: null };
  }

  #transfer(asked: Asked, question: Question): QueryReply {
    const { client, signing } = asked;
    const refuse = (why: string): QueryReply => {
      this.#tally.count(client.transport, "refused");
      return {
        reply: finish(asked, { rcode: RCODE.REFUSED, options: [extendedError(EXTENDED_ERROR.PROHIBITED, why)] }),
        remember: null,
      };
    };
    if (signing.kind !== "verified") return refuse("transfers are for devices that sign with their key");
    if (client.transport === "udp") return refuse("transfers are by TCP");
    if (!this.#transfers.take(signing.device, TRANSFERS, this.#monotonic())) {
      return refuse("this device transfers zones too often; ask again in a few seconds");
    }
    const transfer = transferReplies(asked, question, this.#zones);
    if (transfer === null) return { reply: finish(asked, { rcode: RCODE.NOTAUTH }), remember: null };
    this.#transfers.spend(signing.device, Math.floor(transfer.records / RECORDS_OF_ONE));
    this.#tally.count(client.transport, "transfer");
    return { reply: signing.signAll(transfer.replies), remember: null };
  }

  async #forward(asked: Asked): Promise<Reply> {
    const { bytes, client, signing } = asked;
    const answer = await this.#forwarding.forward(signing.kind === "verified" ? signing.unsigned : bytes, client);
    if (answer.length === 0) return null;
    // Verified, taken off, asked without, and signed anew.
    return finishWith(asked, answer);
  }

  async #follow(asked: Asked, { type, class: of }: Question, { answers, outside }: Answered): Promise<Reply> {
    const { request, client } = asked;
    const authoritative = of === CLASS.IN;
    if (outside === null) return finish(asked, { rcode: RCODE.NOERROR, answers, authoritative });
    const found = await this.#forwarding.find(outside, type, request, client);
    // What we have is right; that the rest is not known is what SERVFAIL says, and a resolver would ask again.
    if (found.rcode !== RCODE.NOERROR && found.rcode !== RCODE.NXDOMAIN)
      return finish(asked, { rcode: RCODE.SERVFAIL });
    return finish(asked, {
      rcode: found.rcode,
      answers: [...answers, ...found.answers],
      authorities: found.authorities,
      authoritative,
    });
  }
}
