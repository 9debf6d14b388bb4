import { type ErrorCode, PortreeveError } from "../../lib/errors.ts";
import type { Respond } from "./exchange.ts";
import { type DnsListener, type ListenFault, listenerKey } from "./messages.ts";
import { Connections, openTcp } from "./tcp-listener.ts";
import { openUdp, type OpenSocket } from "./udp-listener.ts";

interface Served {
  readonly listener: DnsListener;
  readonly sockets: readonly OpenSocket[];
}

/** A UDP and a TCP socket for each address; both, or the address is not served. */
export class Listeners {
  readonly #respond: Respond;
  readonly #onLost: (listener: DnsListener, message: string) => void;
  readonly #connections = new Connections();
  readonly #served = new Map<string, Served>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(respond: Respond, onLost: (listener: DnsListener, message: string) => void) {
    this.#respond = respond;
    this.#onLost = onLost;
  }

  get served(): readonly DnsListener[] {
    return [...this.#served.values()].map(({ listener }) => listener);
  }

  serve(listeners: readonly DnsListener[]): Promise<readonly ListenFault[]> {
    const turn = this.#turn.then(() => this.#serve(listeners));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #serve(listeners: readonly DnsListener[]): Promise<readonly ListenFault[]> {
    const wanted = new Map(listeners.map((listener) => [listenerKey(listener), listener]));
    // First all closing: a renumbered interface frees the address its new sockets need.
    const surplus = [...this.#served.keys()].filter((key) => !wanted.has(key));
    await Promise.all(surplus.map((key) => this.#close(key)));
    const faults: ListenFault[] = [];
    for (const [key, listener] of wanted) {
      if (this.#served.has(key)) continue;
      try {
        await this.#open(key, listener);
      } catch (cause) {
        const code: ErrorCode = cause instanceof PortreeveError ? cause.code : "INTERNAL";
        faults.push({ listener, code, message: cause instanceof Error ? cause.message : String(cause) });
      }
    }
    return faults;
  }

  async #open(key: string, listener: DnsListener): Promise<void> {
    const lost = (cause: Error): void => {
      if (!this.#served.has(key)) return;
      void this.#close(key);
      this.#onLost(listener, cause.message);
    };
    const udp = await openUdp(listener, this.#respond, lost);
    try {
      const tcp = await openTcp(listener, this.#respond, this.#connections, lost);
      this.#served.set(key, { listener, sockets: [udp, tcp] });
    } catch (cause) {
      await udp.close();
      throw cause;
    }
  }

  async #close(key: string): Promise<void> {
    const served = this.#served.get(key);
    this.#served.delete(key);
    await Promise.all((served?.sockets ?? []).map((socket) => socket.close()));
  }
}
