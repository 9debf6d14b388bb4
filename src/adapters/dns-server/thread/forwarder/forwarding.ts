import { CLASS, HEADER_OCTETS, RCODE, TYPE } from "../../../../protocols/dns/constants.ts";
import { decodeMessage } from "../../../../protocols/dns/decode.ts";
import { encodeMessage } from "../../../../protocols/dns/encode.ts";
import { DnsDecodeError } from "../../../../protocols/dns/error.ts";
import type { DnsRecord, Message, Question } from "../../../../protocols/dns/message.ts";
import { nameKeyAt, rcodeOf, uint16 } from "../../../../protocols/dns/skim.ts";
import type { Forwarder } from "./forwarder.ts";
import type { Resolution } from "./resolution.ts";
import type { Tally } from "../tally.ts";
import type { ZoneData } from "../zones/zone-data.ts";

/** Queries that one client, and all, may have under way: of a pulse of more, what is not at hand is answered SERVFAIL. */
const PER_CLIENT_MAX = 128;
const TOTAL_MAX = 4096;

/** Of a client what matters here; its address is what its share hangs on. */
export interface Sender {
  readonly listener: { readonly view: string };
  readonly address: string;
  readonly transport: "udp" | "tcp";
}

/** What an alias leads to outside of what is ours. */
export interface Found {
  readonly rcode: number;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
}

/** The way to the forwarder, with a share for each client. */
export class Forwarding {
  readonly #forwarder: Pick<Forwarder, "resolve">;
  readonly #zones: Pick<ZoneData, "hasBelow">;
  readonly #tally: Tally;
  readonly #underWay = new Map<string, number>();
  #total = 0;

  constructor(forwarder: Pick<Forwarder, "resolve">, zones: Pick<ZoneData, "hasBelow">, tally: Tally) {
    this.#forwarder = forwarder;
    this.#zones = zones;
    this.#tally = tally;
  }

  /** The answer to a query whose octets have no signature. */
  forward(
    bytes: Uint8Array,
    { listener: { view }, address, transport }: Sender,
    onResolved?: (resolution: Resolution) => void,
  ): Uint8Array | Promise<Uint8Array> {
    const who = `${view} ${address}`;
    const mayWait = (this.#underWay.get(who) ?? 0) < PER_CLIENT_MAX && this.#total < TOTAL_MAX;
    const answer = this.#forwarder.resolve(bytes, view, {
      transport,
      mayWait,
      onResolved: (resolution) => {
        this.#tally.count(transport, resolution.kind);
        onResolved?.(resolution);
      },
    });
    return answer instanceof Promise ? this.#wait(answer, who, view) : this.#withOurs(answer, view);
  }

  async #wait(answer: Promise<Uint8Array>, who: string, view: string): Promise<Uint8Array> {
    this.#underWay.set(who, (this.#underWay.get(who) ?? 0) + 1);
    this.#total += 1;
    try {
      return this.#withOurs(await answer, view);
    } finally {
      const left = (this.#underWay.get(who) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(who);
      else this.#underWay.set(who, left);
      this.#total -= 1;
    }
  }

  #withOurs(answer: Uint8Array, view: string): Uint8Array {
    return this.#deniesOurs(answer, view) ? withoutError(answer) : answer;
  }

  /** "There is no such name" is said of all below it too (RFC 8020), and who says so does not know ours (RFC 4592 §2.2.2). */
  #deniesOurs(answer: Uint8Array, view: string): boolean {
    if (answer.length <= HEADER_OCTETS || rcodeOf(uint16(answer, 2)) !== RCODE.NXDOMAIN) return false;
    const [questions, answers] = [uint16(answer, 4), uint16(answer, 6)];
    return questions === 1 && answers === 0 && this.#zones.hasBelow(view, nameKeyAt(answer, HEADER_OCTETS));
  }

  /** The rest of an answer whose alias leads out. */
  async find(name: Question["name"], type: number, request: Message, client: Sender): Promise<Found> {
    const query = encodeMessage({
      ...request,
      recursionDesired: true,
      questions: [{ name, type, class: CLASS.IN }],
      answers: [],
      authorities: [],
      additionals: [],
    });
    // As over TCP: it is part of an answer that is cut, if at all, as a whole.
    const answer = decoded(await this.forward(query, { ...client, transport: "tcp" }));
    if (answer === null) return { rcode: RCODE.SERVFAIL, answers: [], authorities: [] };
    const authorities = answer.authorities.filter((each) => each.type === TYPE.SOA);
    return { rcode: answer.rcode, answers: answer.answers, authorities };
  }
}

/** A copy, as the octets may be kept elsewhere. */
function withoutError(answer: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(answer);
  bytes[3] = (bytes[3] as number) & 0xf0;
  return bytes;
}

/** Of what an upstream sent, which is passed on as it is; null: it cannot be read. */
export function decoded(bytes: Uint8Array): Message | null {
  try {
    return decodeMessage(bytes).message;
  } catch (cause) {
    if (cause instanceof DnsDecodeError) return null;
    throw cause;
  }
}
