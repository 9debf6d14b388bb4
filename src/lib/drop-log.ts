import type { Clock } from "./clock.ts";
import type { RequestLog } from "./request-log.ts";

const REPORT_EVERY_MS = 1000;
/** Different sources reported in one second; of those beyond only the number is kept. */
const SOURCES_MAX = 64;

interface Drop {
  readonly interface: string;
  readonly from: string;
  readonly why: string;
}

/** Counts datagrams dropped unread, and reports them once a second: a flood must not push all else out of the log. */
export class DropLog {
  readonly #clock: Clock;
  readonly #requests: RequestLog;
  readonly #protocol: "pcp" | "upnp";
  readonly #counts = new Map<string, { readonly drop: Drop; count: number }>();
  #others = 0;
  #alarm: { cancel(): void } | null = null;

  constructor(clock: Clock, requests: RequestLog, protocol: "pcp" | "upnp") {
    this.#clock = clock;
    this.#requests = requests;
    this.#protocol = protocol;
  }

  add(drop: Drop): void {
    const key = `${drop.interface} ${drop.from} ${drop.why}`;
    const counted = this.#counts.get(key);
    if (counted !== undefined) counted.count += 1;
    else if (this.#counts.size < SOURCES_MAX) this.#counts.set(key, { drop, count: 1 });
    else this.#others += 1;
    this.#alarm ??= this.#clock.setAlarm(this.#clock.now() + REPORT_EVERY_MS, () => this.#report());
  }

  close(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
  }

  #report(): void {
    this.#alarm = null;
    const rows = [...this.#counts.values()];
    const others = this.#others;
    this.#counts.clear();
    this.#others = 0;
    for (const { drop, count } of rows) this.#write(drop, count);
    if (others > 0)
      this.#write(
        { interface: "", from: "other sources", why: "dropped as well; too many sources to name each" },
        others,
      );
  }

  #write(drop: Drop, count: number): void {
    this.#requests.add({
      at: this.#clock.now(),
      protocol: this.#protocol,
      from: drop.from,
      interface: drop.interface === "" ? null : drop.interface,
      request: count === 1 ? "1 datagram" : `${count} datagrams`,
      decision: "dropped",
      code: null,
      message: drop.why,
      durationMs: 0,
    });
  }
}
