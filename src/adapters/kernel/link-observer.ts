import type { ControllerPort, SubmissionInput } from "../../controller/port.ts";
import type { Settings } from "../../events/settings.ts";
import { type Link, type Links, readLinks, watchLinks } from "./links.ts";
import { Settling } from "./settling.ts";

/** Bursts of kernel messages (an interface coming up makes a dozen) cost one read. */
const READ_SETTLE_MS = 100;
/** Of an interface, as many are recorded. */
const ADDRESSES_MAX = 64;
/** In case the monitor missed something. */
const REREAD_MS = 30_000;

export interface LinkObserverOptions {
  readonly controller: ControllerPort;
  /**
   * Told of every reading at once, for sockets that must follow an interface's index; and again once what was read is
   * recorded, for those that are of a network in the state.
   */
  readonly onLinks: (links: Links) => void;
  readonly onError: (cause: unknown) => void;
  /** The settings that hold with this reading: which interfaces are WAN and LAN. */
  readonly settingsFor: (links: Links) => Settings;
  /** The interfaces that are served with these settings. */
  readonly servedWith: (settings: Settings) => readonly string[];
}

/** What settles like an interface: the list of WANs that follows the default routes, as the monitor names those. */
const DEFAULT_ROUTES = "default";

/**
 * The kernel's interfaces as commands: what is WAN or LAN is observed, settled, and submitted on change. Mappings are
 * re-keyed to no WAN address that does not stand; of a LAN the first change counts at once.
 */
export class LinkObserver {
  readonly #options: LinkObserverOptions;
  #watch: { close(): void } | null = null;
  #timer: { readonly at: number; readonly timeout: NodeJS.Timeout } | null = null;
  #reread: NodeJS.Timeout | null = null;
  #reading: Promise<void> | null = null;
  #again = false;
  #count = 0;
  readonly #settling = new Settling();

  constructor(options: LinkObserverOptions) {
    this.#options = options;
  }

  /** The first reading is taken as settled: at a start nothing has been promised on other grounds. */
  async start(): Promise<void> {
    await this.#read(true);
    this.#watch = watchLinks((subjects) => {
      for (const subject of subjects) this.#settling.hint(subject, performance.now());
      this.#wake(READ_SETTLE_MS);
    });
    this.#reread = setInterval(() => this.#wake(0), REREAD_MS);
  }

  close(): void {
    this.#watch?.close();
    if (this.#timer !== null) clearTimeout(this.#timer.timeout);
    if (this.#reread !== null) clearInterval(this.#reread);
  }

  /** The soonest look counts: one that waits for an address to settle holds up no other. */
  #wake(delayMs: number): void {
    const at = performance.now() + delayMs;
    if (this.#timer !== null && this.#timer.at <= at) return;
    if (this.#timer !== null) clearTimeout(this.#timer.timeout);
    this.#timer = { at, timeout: setTimeout(() => this.#look(), delayMs) };
  }

  #look(): void {
    this.#timer = null;
    if (this.#reading !== null) {
      this.#again = true;
      return;
    }
    this.#reading = this.#read(false)
      .catch((cause: unknown) => this.#options.onError(cause))
      .finally(() => {
        this.#reading = null;
        if (this.#again) this.#wake(READ_SETTLE_MS);
        this.#again = false;
      });
  }

  async #read(atStart: boolean): Promise<void> {
    const links = await readLinks();
    this.#options.onLinks(links);
    const { state } = this.#options.controller;
    const found = this.#options.settingsFor(links);
    const texts = { seen: JSON.stringify(found), recorded: JSON.stringify(state.settings) };
    const before = this.#count;
    const told = this.#settled(DEFAULT_ROUTES, { ...texts, eager: atStart });
    if (told) await this.#submit({ type: "settings.set", settings: found });
    const settings = told ? found : state.settings;
    const wans = new Set([...settings.wan.interfaces, ...found.wan.interfaces]);
    const byName = new Map(links.links.map((link) => [link.name, link]));
    for (const name of new Set([...wans, ...this.#options.servedWith(settings)])) {
      const link = byName.get(name);
      const isWan = wans.has(name);
      const eager = atStart || !isWan;
      const sight = link === undefined ? undefined : sightOf(link, isWan);
      if (!this.#settled(name, { seen: textOf(sight), recorded: textOf(state.interfaces[name]), eager })) continue;
      if (sight === undefined) await this.#submit({ type: "interface.lose", name });
      else await this.#submit({ type: "interface.observe", name, ...sight });
    }
    if (this.#count > before) this.#options.onLinks(links);
  }

  /** False while a difference from what is recorded has not settled; then it is looked at again. */
  #settled(name: string, sight: Parameters<Settling["look"]>[1]): boolean {
    const left = this.#settling.look(name, sight, performance.now());
    if (left !== null && left > 0) this.#wake(Math.ceil(left));
    return left === 0;
  }

  async #submit(command: ObserverCommand): Promise<void> {
    this.#count += 1;
    await this.#options.controller.submit({ ...command, source: "kernel", requestId: `kernel-${this.#count}` });
  }
}

type Sight = Pick<Link, "up" | "addresses" | "gateway">;
const sightOf = ({ up, addresses, gateway }: Link, isWan: boolean): Sight => {
  return { up, addresses: addresses.slice(0, ADDRESSES_MAX), gateway: isWan ? gateway : null };
};
const textOf = (sight: Sight | undefined): string =>
  sight === undefined ? "gone" : JSON.stringify([sight.up, sight.addresses, sight.gateway]);

type Without<C> = C extends unknown ? Omit<C, "source" | "requestId"> : never;
type ObserverCommand = Without<
  Extract<SubmissionInput, { type: "settings.set" | "interface.observe" | "interface.lose" }>
>;
