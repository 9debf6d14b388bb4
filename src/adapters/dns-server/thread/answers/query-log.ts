import { formatName } from "../../../../lib/domain-name.ts";
import { RCODE, rcodeName, typeName } from "../../../../protocols/dns/constants.ts";
import { decodeMessage } from "../../../../protocols/dns/decode.ts";
import { DnsDecodeError } from "../../../../protocols/dns/error.ts";
import { skimMessage } from "../../../../protocols/dns/skim.ts";
import { type Client, isSeveral, type Reply, type Respond } from "./exchange.ts";
import type { QueryEntry } from "../../messages.ts";

/** Beyond, what is asked in one interval is not kept. */
const ENTRIES_MAX = 1000;

/** Who asked what, while somebody wants to know it; in memory, and nowhere else. */
export class QueryLog {
  on = false;
  #entries: QueryEntry[] = [];

  /** Around the answering of all transports. Off, it costs nothing. */
  around(respond: Respond): Respond {
    return (bytes, client) => {
      if (!this.on) return respond(bytes, client);
      const at = Date.now();
      const reply = respond(bytes, client);
      if (reply instanceof Promise) {
        return reply.then((ready) => {
          this.#add(bytes, client, ready, at);
          return ready;
        });
      }
      this.#add(bytes, client, reply, at);
      return reply;
    };
  }

  take(): readonly QueryEntry[] {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }

  #add(bytes: Uint8Array, { listener, address, transport }: Client, reply: Reply, at: number): void {
    if (this.#entries.length >= ENTRIES_MAX) return;
    const question = questionOf(bytes);
    if (question === null) return;
    const first = reply !== null && isSeveral(reply) ? reply[0] : reply;
    const rcode = first === null || first === undefined ? "no answer" : rcodeName(rcodeIn(first));
    const durationMs = Date.now() - at;
    this.#entries.push({ at, view: listener.view, from: address, transport, ...question, rcode, durationMs });
  }
}

/** RFC 6891 §6.1.3: the upper bits are in the OPT record, as of BADVERS. */
function rcodeIn(reply: Uint8Array): number {
  const high = skimMessage(reply)?.edns?.rcodeHigh ?? 0;
  return (high << 4) | ((reply[3] ?? RCODE.SERVFAIL) & 0x0f);
}

function questionOf(bytes: Uint8Array): { name: string; type: string } | null {
  try {
    const [question] = decodeMessage(bytes).message.questions;
    return question === undefined ? null : { name: formatName(question.name.key), type: typeName(question.type) };
  } catch (cause) {
    if (cause instanceof DnsDecodeError) return null;
    throw cause;
  }
}
