import { randomInt } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "../../../../lib/clock.ts";
import { type UpstreamServer, upstreamText } from "../../../../lib/dns-upstream.ts";
import { RCODE } from "../../../../protocols/dns/constants.ts";
import { FLAG, rcodeOf, skimMessage } from "../../../../protocols/dns/skim.ts";
import type { Received } from "./digest.ts";
import { HttpsConnection } from "./https-connection.ts";
import { StreamConnection } from "./stream-connection.ts";
import { askByUdp } from "./udp-exchange.ts";
import { UpstreamFault } from "./upstream-fault.ts";
import { kinship, type UpstreamQuestion, upstreamQuery } from "./upstream-query.ts";
import { UpstreamHealth } from "./upstream-health.ts";
import { tlsOptions } from "./upstream-tls.ts";

export type ReachableServer = Exclude<UpstreamServer, { readonly kind: "system" }>;

export interface ClientTools {
  readonly clock: Clock;
  /** PEM; undefined: the authorities that Node knows, and those of NODE_EXTRA_CA_CERTS. */
  readonly authorities: readonly string[] | undefined;
}

/** What an old server cannot do is asked of it again after this: it may be another one by then. */
const REMEMBERED_MS = 3_600_000;

/** One upstream: asks it in the way it understands, and remembers that way and how it does. */
export class UpstreamClient {
  readonly server: ReachableServer;
  readonly text: string;
  readonly health: UpstreamHealth;
  readonly #tools: ClientTools;
  #stream: StreamConnection | null = null;
  #https: HttpsConnection | null = null;
  #session: Buffer | undefined;
  #noEdnsUntil = 0;
  #noMixedCaseUntil = 0;

  constructor(server: ReachableServer, tools: ClientTools) {
    this.server = server;
    this.text = upstreamText(server);
    this.health = new UpstreamHealth(tools.clock);
    this.#tools = tools;
  }

  /** Rejects with an `UpstreamFault` only. How long is the caller's patience. */
  async ask(question: UpstreamQuestion, signal: AbortSignal): Promise<Received> {
    const now = this.#tools.clock.now();
    const withEdns = now >= this.#noEdnsUntil;
    const received = await this.#askOnce(question, withEdns, signal);
    if (!withEdns || !refusesEdns(received)) return received;
    // RFC 6891 §7: FORMERR or NOTIMP to a query that is fine without its OPT record.
    const again = await this.#askOnce(question, false, signal);
    if (!refusesEdns(again)) this.#noEdnsUntil = now + REMEMBERED_MS;
    return again;
  }

  close(): void {
    this.#stream?.close();
    this.#https?.close();
  }

  async #askOnce(question: UpstreamQuestion, edns: boolean, signal: AbortSignal): Promise<Received> {
    if (this.server.kind === "https") return await this.#askHttps(question, edns, signal);
    if (this.server.kind === "tls") return await this.#askStream(question, edns, signal);
    const byUdp = await this.#askUdp(question, edns, signal);
    // RFC 7766 §5: what is cut off is asked for again, whole.
    if (byUdp === null || (byUdp.skim.flags & FLAG.TC) !== 0) return await this.#askStream(question, edns, signal);
    return byUdp;
  }

  /** Null: it has to be asked by TCP. */
  async #askUdp(question: UpstreamQuestion, edns: boolean, signal: AbortSignal): Promise<Received | null> {
    const mixedCase = this.#tools.clock.now() >= this.#noMixedCaseUntil;
    const query = upstreamQuery(question, { ...this.#form(edns), mixedCase });
    try {
      return this.#received(await askByUdp(this.server, query, signal), 0);
    } catch (cause) {
      if (!(cause instanceof UpstreamFault)) throw cause;
      if (cause.kind === "flooded") return null;
      if (cause.kind !== "other-case") throw cause;
      // It does not keep the case, or somebody guessed all but the case: TCP tells, and no letters need be mixed there.
      this.#noMixedCaseUntil = this.#tools.clock.now() + REMEMBERED_MS;
      return null;
    }
  }

  /** A connection that was good may be closed just as it is used: then there is one more try, on a new one. */
  async #askStream(question: UpstreamQuestion, edns: boolean, signal: AbortSignal): Promise<Received> {
    for (;;) {
      const stream = this.#openStream();
      const isProven = stream.proven;
      let form = this.#form(edns);
      while (stream.isTaken(form.id)) form = this.#form(edns);
      try {
        return this.#received(await stream.ask(upstreamQuery(question, form), signal), 0);
      } catch (cause) {
        if (!(cause instanceof UpstreamFault) || cause.kind === "withdrawn" || !isProven) throw cause;
        if (this.#stream === stream) this.#stream = null;
      }
    }
  }

  #openStream(): StreamConnection {
    if (this.#stream?.usable === true) return this.#stream;
    const { address: host, port } = this.server;
    if (this.server.kind === "plain") {
      this.#stream = new StreamConnection(connectTcp({ host, port }));
      return this.#stream;
    }
    const { name } = this.server;
    const socket = connectTls({
      host,
      port,
      ...tlsOptions(name, this.#tools.authorities),
      ...(this.#session === undefined ? {} : { session: this.#session }),
    });
    socket.on("session", (session) => {
      this.#session = session;
    });
    this.#stream = new StreamConnection(socket);
    return this.#stream;
  }

  async #askHttps(question: UpstreamQuestion, edns: boolean, signal: AbortSignal): Promise<Received> {
    // RFC 8484 §4.1: 0, as HTTP tells answers apart.
    const query = upstreamQuery(question, { ...this.#form(edns), id: 0 });
    for (;;) {
      const https = this.#openHttps();
      const isProven = https.proven;
      try {
        const { bytes, ageSeconds } = await https.ask(query.bytes, signal);
        if (kinship(bytes, query) === "none") throw new UpstreamFault("malformed", "it answers another question");
        return this.#received(bytes, ageSeconds);
      } catch (cause) {
        if (!(cause instanceof UpstreamFault) || cause.kind === "withdrawn" || https.usable || !isProven) throw cause;
      }
    }
  }

  #openHttps(): HttpsConnection {
    if (this.server.kind === "https" && this.#https?.usable !== true) {
      this.#https = new HttpsConnection(this.server, this.#tools.authorities);
    }
    return this.#https as HttpsConnection;
  }

  #form(edns: boolean): { id: number; mixedCase: boolean; edns: boolean; authenticData: boolean } {
    return { id: randomInt(0x1_0000), mixedCase: false, edns, authenticData: this.server.kind !== "plain" };
  }

  #received(bytes: Uint8Array, ageSeconds: number): Received {
    const skim = skimMessage(bytes);
    if (skim === null) throw new UpstreamFault("malformed", "its answer is malformed");
    return { bytes, skim, protectedPath: this.server.kind !== "plain", ageSeconds };
  }
}

function refusesEdns({ skim }: Received): boolean {
  const rcode = rcodeOf(skim.flags) | ((skim.edns?.rcodeHigh ?? 0) << 4);
  return !skim.hasQuestion || rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP || rcode === RCODE.BADVERS;
}
