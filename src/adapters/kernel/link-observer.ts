import type { ControllerPort, SubmissionInput } from "../../controller/port.ts";
import type { Settings } from "../../events/settings.ts";
import { type Link, type Links, readLinks, watchLinks } from "./links.ts";

/** A WAN address must stand this long before mappings are re-keyed to it: DHCP clients remove and add. */
const WAN_SETTLE_MS = 2000;
/** Bursts of kernel messages (an interface coming up makes a dozen) cost one read. */
const READ_SETTLE_MS = 100;
/** In case the monitor missed something. */
const REREAD_MS = 30_000;

export interface LinkObserverOptions {
  readonly controller: ControllerPort;
  /** Told of every reading at once, for sockets that must follow an interface's index. */
  readonly onLinks: (links: Links) => void;
  readonly onError: (cause: unknown) => void;
  /** The settings that hold with this reading: which interfaces are WAN and LAN. */
  readonly settingsFor: (links: Links) => Settings;
}

/** The kernel's interfaces as commands: what is WAN or LAN is observed, settled, and submitted on change. */
export class LinkObserver {
  readonly #options: LinkObserverOptions;
  #watch: { close(): void } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #reread: NodeJS.Timeout | null = null;
  #reading: Promise<void> | null = null;
  #again = false;
  #count = 0;
  /** WAN → what was seen and since when it has been so. */
  readonly #settling = new Map<string, { seen: string; since: number }>();

  constructor(options: LinkObserverOptions) {
    this.#options = options;
  }

  /** The first reading is taken as settled: at a start nothing has been promised on other grounds. */
  async start(): Promise<void> {
    await this.#read(true);
    this.#watch = watchLinks(() => this.#wake(READ_SETTLE_MS));
    this.#reread = setInterval(() => this.#wake(0), REREAD_MS);
  }

  close(): void {
    this.#watch?.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#reread !== null) clearInterval(this.#reread);
  }

  #wake(delayMs: number): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#reading !== null) this.#again = true;
      else {
        this.#reading = this.#read(false)
          .catch((cause: unknown) => this.#options.onError(cause))
          .finally(() => {
            this.#reading = null;
            if (this.#again) this.#wake(READ_SETTLE_MS);
            this.#again = false;
          });
      }
    }, delayMs);
  }

  async #read(settledAlready: boolean): Promise<void> {
    const links = await readLinks();
    this.#options.onLinks(links);
    const settings = this.#options.settingsFor(links);
    await this.#submit({ type: "settings.set", settings });
    const wans = new Set(settings.wan.interfaces);
    const byName = new Map(links.links.map((link) => [link.name, link]));
    for (const name of new Set([...wans, ...settings.lan.map((lan) => lan.interface)])) {
      const link = byName.get(name);
      if (wans.has(name) && !settledAlready && !this.#settled(name, link)) continue;
      if (link === undefined) await this.#submit({ type: "interface.lose", name });
      else await this.#submit({ type: "interface.observe", name, up: link.up, addresses: link.addresses.slice(0, 64) });
    }
  }

  /** False while a difference from what is recorded is younger than the settle time; then it is looked at again. */
  #settled(name: string, link: Link | undefined): boolean {
    const recorded = this.#options.controller.state.interfaces[name];
    const now = link === undefined ? "gone" : JSON.stringify([link.up, link.addresses]);
    const before = recorded === undefined ? "gone" : JSON.stringify([recorded.up, recorded.addresses]);
    if (now === before) {
      this.#settling.delete(name);
      return true;
    }
    const seen = this.#settling.get(name);
    const monotonic = performance.now();
    if (seen === undefined || seen.seen !== now) {
      this.#settling.set(name, { seen: now, since: monotonic });
      this.#wake(WAN_SETTLE_MS);
      return false;
    }
    if (monotonic - seen.since >= WAN_SETTLE_MS) {
      this.#settling.delete(name);
      return true;
    }
    this.#wake(Math.ceil(WAN_SETTLE_MS - (monotonic - seen.since)));
    return false;
  }

  async #submit(command: ObserverCommand): Promise<void> {
    this.#count += 1;
    await this.#options.controller.submit({ ...command, source: "kernel", requestId: `kernel-${this.#count}` });
  }
}

type Without<C> = C extends unknown ? Omit<C, "source" | "requestId"> : never;
type ObserverCommand = Without<
  Extract<SubmissionInput, { type: "settings.set" | "interface.observe" | "interface.lose" }>
>;
