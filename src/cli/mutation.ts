import type { Command } from "commander";
import type { PlanDocument, ResultDocument } from "../api/schemas/plan.ts";
import type { Cli } from "./cli.ts";
import type { Call } from "./client.ts";
import { EXIT, Failure, usage } from "./exit.ts";
import { durationText, parseDuration } from "./duration.ts";
import { planText } from "./plan-text.ts";

export interface MutationOptions {
  readonly dryRun?: boolean;
  readonly ifMatch?: string;
  readonly confirmWithin?: string;
}

/** Options that every verb that changes something has. */
export function addMutationOptions(command: Command): Command {
  return command
    .option("--dry-run", "show what would change and change nothing; exits 10 if there is something")
    .option("--if-match <seq>", "only if the log is still at this record, else exit 4")
    .option("--confirm-within <duration>", "undo it by itself unless `portreeve confirm` comes within this time");
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
  if (calls.length > 1) for (const call of calls) await cli.client.call<PlanDocument>(dry(call, head(), options));
  const results: ResultDocument[] = [];
  for (const call of calls) {
    const query = { ...call.query, ...trial(options), ...(!cli.waits && { wait: false }) };
    try {
      const result = await cli.client.call<ResultDocument>({ ...call, query, headers: head() });
      results.push(result);
      for (const note of result.notes) cli.say(`note: ${note}`);
      sayTrial(cli, result);
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
export async function showPlan(cli: Cli, calls: readonly Call[], options: MutationOptions): Promise<void> {
  const headers: Record<string, string> = options.ifMatch === undefined ? {} : { "if-match": options.ifMatch };
  const plans: PlanDocument[] = [];
  for (const call of calls) plans.push(await cli.client.call<PlanDocument>(dry(call, headers, options)));
  await cli.show(plans.length === 1 ? plans[0] : plans, () => plans.map(planText).join("\n"));
  if (plans.some((plan) => plan.events.length > 0)) cli.exitCode = EXIT.planHasChanges;
}

const dry = (call: Call, headers: Readonly<Record<string, string>>, options: MutationOptions): Call => ({
  ...call,
  headers,
  query: { ...call.query, ...trial(options), dryRun: true },
});

const trial = ({ confirmWithin }: MutationOptions): { confirmWithin?: number } =>
  confirmWithin === undefined ? {} : { confirmWithin: parseDuration(confirmWithin) };

/** Beside the data: a change that nobody confirms must not surprise anyone. */
function sayTrial(cli: Cli, { confirmation }: ResultDocument): void {
  if (confirmation === null) return;
  const left = durationText((Date.parse(confirmation.until) - cli.now) / 1000);
  cli.say(`This is undone in ${left} unless you confirm it: portreeve confirm ${confirmation.id}`);
}
