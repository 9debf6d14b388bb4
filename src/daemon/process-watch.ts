import { closeSync, openSync } from "node:fs";
import type { Metrics } from "../lib/metrics.ts";
import type { Readiness } from "./readiness.ts";

const CHECK_EVERY_MS = 500;
/** A client asks again after a quarter of a second (RFC 6886 §3.1); what is longer than this somebody has felt. */
const STALL_MS = 1000;
/** So long a stall stays in `status`: below what makes the process not ready, as it is over. */
const STALL_SHOWN_MS = 50_000;

export interface ProcessWatchOptions {
  readonly readiness: Pick<Readiness, "failed" | "recovered">;
  readonly metrics: Metrics;
  readonly onStall: (seconds: number) => void;
  /** Called when that begins, not again while it lasts. */
  readonly onFilesExhausted: (whose: string) => void;
  /** Milliseconds that do not count a suspend: `performance.now`. */
  readonly monotonic?: () => number;
  /** Throws what opening a file throws. */
  readonly openFile?: () => void;
}

/** Notices what no part can notice of itself: that the whole process stood still, or can open no more files. */
export class ProcessWatch {
  readonly #options: ProcessWatchOptions;
  readonly #monotonic: () => number;
  readonly #openFile: () => void;
  readonly #stalls: { inc(labels: Readonly<Record<string, string>>): void };
  readonly #longest: { set(labels: Readonly<Record<string, string>>, value: number): void };
  #longestSeconds = 0;
  #checkedAt: number;
  #stalledAt: number | null = null;
  #filesExhausted = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ProcessWatchOptions) {
    this.#options = options;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#openFile = options.openFile ?? openAndClose;
    const { metrics } = options;
    this.#stalls = metrics.counter("portreeve_stalls_total", "Times the process stood still for over a second", []);
    this.#longest = metrics.gauge("portreeve_stall_longest_seconds", "The longest of them since the start", []);
    this.#longest.set({}, 0);
    this.#checkedAt = this.#monotonic();
  }

  start(): void {
    this.#checkedAt = this.#monotonic();
    this.#timer = setInterval(() => this.check(), CHECK_EVERY_MS).unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  check(): void {
    const now = this.#monotonic();
    const late = now - this.#checkedAt - CHECK_EVERY_MS;
    this.#checkedAt = now;
    this.#checkStall(now, late);
    this.#checkFiles();
  }

  #checkStall(now: number, late: number): void {
    const { readiness, onStall } = this.#options;
    if (late > STALL_MS) {
      const seconds = late / 1000;
      this.#stalledAt = now;
      this.#longestSeconds = Math.max(this.#longestSeconds, seconds);
      this.#stalls.inc({});
      this.#longest.set({}, this.#longestSeconds);
      readiness.failed("process", `stood still for ${seconds.toFixed(1)} s less than a minute ago; requests waited`);
      onStall(seconds);
    } else if (this.#stalledAt !== null && now - this.#stalledAt > STALL_SHOWN_MS) {
      this.#stalledAt = null;
      readiness.recovered("process");
    }
  }

  #checkFiles(): void {
    const { readiness, onFilesExhausted } = this.#options;
    try {
      this.#openFile();
      this.#filesExhausted = false;
      readiness.recovered("open files");
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== "EMFILE" && code !== "ENFILE") throw cause;
      const whose = code === "EMFILE" ? "this process (RLIMIT_NOFILE)" : "the machine (fs.file-max)";
      readiness.failed("open files", `${whose} may open no more; what is open goes on, new API connections wait`);
      if (!this.#filesExhausted) onFilesExhausted(whose);
      this.#filesExhausted = true;
    }
  }
}

function openAndClose(): void {
  closeSync(openSync("/proc/self/limits", "r"));
}
