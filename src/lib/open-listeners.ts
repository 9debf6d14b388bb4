import { PortreeveError } from "./errors.ts";

/** A listener that could not be opened; the next `serve` tries again. */
export interface ServeFault<Listener> {
  readonly listener: Listener;
  readonly error: PortreeveError;
}

export interface OpenListenersOptions<Listener, Open> {
  /** All by which one listener is another: what has another key gets new sockets. */
  readonly keyOf: (listener: Listener) => string;
  /** `lost`: the sockets are of no more use, for example because their interface is gone. */
  readonly open: (listener: Listener, lost: (cause: Error) => void) => Promise<Open>;
  /** Resolves when all sockets of it are closed, and their place is free. */
  readonly close: (open: Open, why: string) => Promise<void>;
  /** After each `serve` that opened some; `others` were open before. */
  readonly onOpened?: (opened: readonly Open[], others: readonly Open[]) => void;
  readonly onFault?: (fault: ServeFault<Listener>) => void;
  readonly onLost?: (listener: Listener, cause: Error) => void;
}

/** The open sockets of a server that follows the interfaces it serves. */
export class OpenListeners<Listener, Open> {
  readonly #options: OpenListenersOptions<Listener, Open>;
  readonly #open = new Map<string, { readonly listener: Listener; readonly open: Open }>();
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: OpenListenersOptions<Listener, Open>) {
    this.#options = options;
  }

  /** Those that have their sockets. */
  get served(): Listener[] {
    return [...this.#open.values()].map(({ listener }) => listener);
  }

  get open(): Open[] {
    return [...this.#open.values()].map(({ open }) => open);
  }

  /**
   * Makes the open sockets those of `listeners`: what is served already stays, what failed before or was lost is tried
   * again. Resolves with what could not be opened.
   */
  serve(listeners: readonly Listener[]): Promise<readonly ServeFault<Listener>[]> {
    const turn = this.#turn.then(() => this.#serve(listeners));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Nothing opens from now on, and nothing is open when it resolves. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.serve([]);
  }

  async #serve(listeners: readonly Listener[]): Promise<readonly ServeFault<Listener>[]> {
    const { keyOf, onOpened, onFault } = this.#options;
    const wanted = new Map(this.#closed ? [] : listeners.map((listener) => [keyOf(listener), listener]));
    // First all closing: a renamed or renumbered interface frees the address its new sockets need.
    const surplus = [...this.#open.keys()].filter((key) => !wanted.has(key));
    await Promise.all(surplus.map((key) => this.#drop(key, "no longer served")));
    const [others, opened] = [this.open, [] as Open[]];
    const faults: ServeFault<Listener>[] = [];
    for (const [key, listener] of wanted) {
      if (this.#open.has(key)) continue;
      try {
        opened.push(await this.#opened(key, listener));
      } catch (error) {
        if (!(error instanceof PortreeveError)) throw error;
        onFault?.({ listener, error });
        faults.push({ listener, error });
      }
    }
    if (opened.length > 0) onOpened?.(opened, others);
    return faults;
  }

  async #opened(key: string, listener: Listener): Promise<Open> {
    const known: { entry?: { listener: Listener; open: Open } } = {};
    const open = await this.#options.open(listener, (cause) => {
      if (known.entry === undefined || this.#open.get(key) !== known.entry) return;
      void this.#drop(key, cause.message);
      this.#options.onLost?.(listener, cause);
    });
    known.entry = { listener, open };
    this.#open.set(key, known.entry);
    return open;
  }

  async #drop(key: string, why: string): Promise<void> {
    const entry = this.#open.get(key);
    this.#open.delete(key);
    if (entry !== undefined) await this.#options.close(entry.open, why);
  }
}
