import { Counter, Gauge, Histogram, Registry } from "prom-client";

type Labels = Readonly<Record<string, string>>;

/** Seconds; around what a commit takes on a disk that syncs in a fraction of a millisecond, and on one that takes 100. */
export const APPEND_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5];

/**
 * Where the program's figures go. Asking twice for a name gives the same instrument, so that several users of one
 * (each reconciler with its own `target`) need not know each other.
 */
export interface Metrics {
  counter(name: string, help: string, labels: readonly string[]): { inc(labels: Labels, by?: number): void };
  gauge(name: string, help: string, labels: readonly string[]): { set(labels: Labels, value: number): void };
  histogram(
    name: string,
    help: string,
    labels: readonly string[],
    buckets: readonly number[],
  ): { observe(labels: Labels, value: number): void };
  /** What a scrape is answered with. */
  readonly contentType: string;
  text(): Promise<string>;
}

/** A registry of its own: the library's global one would make two controllers in one test process share figures. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const once = <T extends object>(name: string, make: () => T): T =>
    (registry.getSingleMetric(name) as T | undefined) ?? make();
  return {
    counter: (name, help, labels) =>
      once(name, () => new Counter<string>({ name, help, labelNames: [...labels], registers })),
    gauge: (name, help, labels) =>
      once(name, () => new Gauge<string>({ name, help, labelNames: [...labels], registers })),
    histogram: (name, help, labels, buckets) =>
      once(
        name,
        () => new Histogram<string>({ name, help, labelNames: [...labels], buckets: [...buckets], registers }),
      ),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
