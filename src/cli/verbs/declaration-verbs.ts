import type { Command } from "commander";
import type { PlanDocument } from "../../api/schemas/plan.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { EXIT, Failure } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { objectText } from "../plan-text.ts";
import { examples } from "../program-parts.ts";

export interface DeclarationOptions extends MutationOptions {
  readonly file?: string;
  readonly prune?: boolean;
}

export const withPrune = (command: Command): Command =>
  command.option("--prune", "remove what the file made before and does not name any more");

export function addDeclarationVerbs(program: Command, cli: Cli): void {
  const apply = program
    .command("apply")
    .description("make subnets, devices and forwards what a file says; what the file did not make is never touched")
    .requiredOption("-f, --file <file>", "YAML with name, subnets, devices and ports");
  examples(apply, ["portreeve plan --file gateway.yaml", "portreeve apply --file gateway.yaml --prune"]);
  addMutationOptions(withPrune(apply)).action(async (options: DeclarationOptions) => {
    const call = await declarationCall(options.file as string, options);
    if (options.dryRun === true) return await showPlan(cli, [call], options);
    await carryOut(cli, call, options, `apply ${options.file}`);
  });
}

/** The request of a file. What is wrong with it is said with its lines, as of the configuration. */
export async function declarationCall(file: string, { prune = false }: DeclarationOptions): Promise<Call> {
  const { ConfigError } = await import("../../config/load.ts");
  const { loadDeclaration } = await import("../../config/declaration-file.ts");
  try {
    return { method: "POST", path: "/declaration", body: { declaration: loadDeclaration(file), prune } };
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new Failure(EXIT.usage, cause.message, "docs/operations.md shows what such a file holds", { cause });
  }
}

/** The plan first: what would be removed needs a yes, and what it says is what is printed as done. */
export async function carryOut(cli: Cli, call: Call, options: MutationOptions, what: string): Promise<void> {
  const plan = await cli.client.call<PlanDocument>({ ...call, query: { dryRun: true } });
  const lines = plan.objects.map(objectText).join("\n");
  const removed = plan.objects.filter(({ op }) => op === "remove");
  if (removed.length > 0) {
    const names = removed.map(({ kind, name }) => `${kind} ${name}`).join(", ");
    await cli.confirm(`${what} and remove ${names}`);
  }
  const [result] = await mutate(cli, [call], options);
  await cli.show(result, () =>
    result?.changed === true ? `Done by record ${result.seq}:\n${lines}\n` : "It is so already; nothing was changed.\n",
  );
}
