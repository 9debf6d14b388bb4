import { readFile } from "node:fs/promises";
import type { Clock } from "../../../../lib/clock.ts";
import { resolvConfServers } from "../../../../lib/dns-upstream.ts";

/** systemd-resolved's list of the real servers; where that is not, the machine's own (as the reference does). */
const FILES = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
/** Read, not watched: such files are replaced, linked anew and mounted over, and two small reads cost nothing. */
const EVERY_MS = 2000;

/** The resolvers of this machine, as they are now. */
export class SystemUpstreams {
  readonly #clock: Clock;
  readonly #files: readonly string[];
  readonly #changed: () => void;
  #servers: readonly string[] = [];
  #alarm: { cancel(): void } | null = null;
  #open = true;

  constructor(clock: Clock, changed: () => void, files: readonly string[] = FILES) {
    this.#clock = clock;
    this.#changed = changed;
    this.#files = files;
    void this.#look();
  }

  get servers(): readonly string[] {
    return this.#servers;
  }

  close(): void {
    this.#open = false;
    this.#alarm?.cancel();
  }

  async #look(): Promise<void> {
    const servers = await this.#read();
    if (!this.#open) return;
    const isNew = servers.join() !== this.#servers.join();
    this.#servers = servers;
    this.#alarm = this.#clock.setAlarm(this.#clock.now() + EVERY_MS, () => void this.#look());
    if (isNew) this.#changed();
  }

  /** The first file that names any. */
  async #read(): Promise<readonly string[]> {
    for (const file of this.#files) {
      const text = await readFile(file, "utf8").catch(() => "");
      const servers = resolvConfServers(text);
      if (servers.length > 0) return servers;
    }
    return [];
  }
}
