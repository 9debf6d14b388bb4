import type { Command } from "commander";
import type { PlanDocument, ResultDocument } from "../api/schemas/plan.ts";
import type { Cli } from "./cli.ts";
import type { Call } from "./client.ts";
import { EXIT, Failure, usage } from "./exit.ts";
import { printable } from "./terminal.ts";

export interface MutationOptions {
  readonly dryRun?: boolean;
  readonly ifMatch?: string;
}

/** Options that every verb that changes something has. */
export function addMutationOptions(command: Command): Command {
  return command
    .option("--dry-run", "show what would change and change nothing; exits 10 if there is something")
    .option("--if-match <seq>", "only if the log is still at this record, else exit 4");
}

/**
 * Makes the calls of one command in order. Before the first one all are tried without effect, so that a command of two
 * rows changes either both or, short of a race, none.
 */
export async function mutate(cli: Cli, calls: readonly Call[], options: MutationOptions): Promise<ResultDocument[]> {
  if (options.ifMatch !== undefined && !/^\d+$/.test(options.ifMatch))
    throw usage("--if-match takes a seq, as in 1842");
  let ifMatch = options.ifMatch;
  const head = (): Record<string, string> => (ifMatch === undefined ? {} : { "if-match": ifMatch });
  if (calls.length > 1) for (const call of calls) await cli.client.call<PlanDocument>(dry(call, head()));
  const results: ResultDocument[] = [];
  for (const call of calls) {
    const query = { ...call.query, ...(!cli.waits && { wait: false }) };
    try {
      const result = await cli.client.call<ResultDocument>({ ...call, query, headers: head() });
      results.push(result);
      if (ifMatch !== undefined) ifMatch = String(result.seq);
    } catch (cause) {
      if (results.length === 0 || !(cause instanceof Failure)) throw cause;
      const message = `${results.length} of ${calls.length} rows were changed, then: ${cause.message}`;
      throw new Failure(EXIT.notSettled, message, "`portreeve port list` shows what is there now", { cause });
    }
  }
  return results;
}

/** Prints what the calls would do. */
export async function showPlan(cli: Cli, calls: readonly Call[], { ifMatch }: MutationOptions): Promise<void> {
  const headers: Record<string, string> = ifMatch === undefined ? {} : { "if-match": ifMatch };
  const plans: PlanDocument[] = [];
  for (const call of calls) plans.push(await cli.client.call<PlanDocument>(dry(call, headers)));
  await cli.show(plans.length === 1 ? plans[0] : plans, () => plans.map(planText).join("\n"));
  if (plans.some((plan) => plan.events.length > 0)) cli.exitCode = EXIT.planHasChanges;
}

const dry = (call: Call, headers: Readonly<Record<string, string>>): Call => ({
  ...call,
  headers,
  query: { ...call.query, dryRun: true },
});

const SIGNS = { create: "+", update: "~", delete: "-" } as const;

export function planText({ seq, events, changes }: PlanDocument): string {
  if (events.length === 0) return `Nothing would change (at record ${seq}).\n`;
  const lines = [
    `At record ${seq} this would log`,
    ...events.map(({ type, data }) => `  ${type} ${printable(JSON.stringify(data))}`),
    changes.length === 0 ? "and change nothing in the kernel." : "and change in the kernel",
    ...changes.map(({ op, reconciler, key }) => `  ${SIGNS[op]} ${reconciler}  ${printable(key)}`),
  ];
  return `${lines.join("\n")}\n`;
}
