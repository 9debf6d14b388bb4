import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import { type Report, simulate } from "./simulation.ts";
import stored from "./seeds.json" with { type: "json" };

export const STORED_SEEDS: readonly number[] = stored.seeds.map(({ seed }) => seed);

const COMMANDS_MIN = 200;
const FAULTS_MIN = 3;
const PROGRESS_EVERY_MS = 5000;

/** What many seeds came to. */
export interface Tally {
  seeds: number;
  commands: number;
  events: number;
  restarts: number;
  readonly fired: Map<FaultKind, number>;
  /** In words, with what it takes to run the seed again. */
  readonly failures: string[];
}

export function emptyTally(): Tally {
  return { seeds: 0, commands: 0, events: 0, restarts: 0, fired: new Map(), failures: [] };
}

/** Runs the seeds; stops at the tenth that fails, for nobody reads more. */
export async function runSeeds(seeds: Iterable<number>, tally: Tally, progress: (text: string) => void): Promise<void> {
  let said = performance.now();
  for (const seed of seeds) {
    const report = await simulate(seed);
    add(tally, report);
    const failure = failureOf(report);
    if (failure !== null) tally.failures.push(failure);
    if (tally.failures.length >= 10) return;
    if (performance.now() - said < PROGRESS_EVERY_MS) continue;
    said = performance.now();
    progress(`${tally.seeds} seeds, ${tally.failures.length} failed, now at ${seed}`);
  }
}

function add(tally: Tally, { commands, events, restarts, fired }: Report): void {
  tally.seeds += 1;
  tally.commands += commands;
  tally.events += events;
  tally.restarts += restarts;
  for (const [kind, count] of fired) tally.fired.set(kind, (tally.fired.get(kind) ?? 0) + count);
}

/** Null if the seed passed, and was hard enough to count. */
function failureOf({ options, violations, steps, fired, commands, restarts }: Report): string | null {
  const faults = [...fired.values()].reduce((sum, count) => sum + count, 0);
  const complaints = [...violations];
  if (violations.length === 0) {
    if (commands < COMMANDS_MIN) complaints.push(`only ${commands} commands`);
    if (faults < FAULTS_MIN) complaints.push(`only ${faults} faults`);
    if (restarts < 1) complaints.push("no restart");
  }
  if (complaints.length === 0) return null;
  return [
    `seed ${options.seed}: ${complaints.slice(0, 5).join("\n  ")}`,
    `options ${JSON.stringify(options)}`,
    "the last steps, by uptime in ms:",
    ...steps,
    `again: npm run simulate -- --seed ${options.seed} --seeds 1`,
  ].join("\n  ");
}

export function neverFired({ fired }: Tally): FaultKind[] {
  return FAULT_KINDS.filter((kind) => (fired.get(kind) ?? 0) === 0);
}

export function summary(tally: Tally): string {
  const { seeds, commands, events, restarts, fired, failures } = tally;
  const kinds = [...fired].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `  ${count} × ${kind}`);
  const figures = `${seeds} seeds, ${commands} commands, ${events} events, ${restarts} restarts`;
  return [`${figures}, ${failures.length} failed`, ...kinds].join("\n");
}
