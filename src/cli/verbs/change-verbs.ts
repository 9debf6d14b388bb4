import type { Command } from "commander";
import type { ConfirmationDocument } from "../../api/schemas/change.ts";
import type { PlanDocument, ResultDocument } from "../../api/schemas/plan.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { whenText } from "../duration.ts";
import { EXIT, Failure, usage } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { objectText } from "../plan-text.ts";
import { declarationCall, type DeclarationOptions, withPrune } from "./declaration-verbs.ts";
import { examples } from "../program-parts.ts";

export function addChangeVerbs(program: Command, cli: Cli): void {
  addPlanVerb(program, cli);
  const undo = program
    .command("undo")
    .description("take the last change of an operator back; once more brings it back");
  examples(undo, ["portreeve undo", "portreeve undo --dry-run"]);
  addMutationOptions(undo).action(async (options: MutationOptions) => {
    await takeBack(cli, { method: "POST", path: "/undo" }, options);
  });
  const revert = program
    .command("revert")
    .description("take back the change that a record belongs to; of a device's, what it was given")
    .argument("<seq>", "a record of the change, as `events list` shows it");
  examples(revert, ["portreeve revert 1842", "portreeve revert 1842 --dry-run"]);
  addMutationOptions(revert).action(async (seq: string, options: MutationOptions) => {
    if (!/^\d+$/.test(seq)) throw usage(`${seq} is not a seq`, "`portreeve events list` shows them");
    await takeBack(cli, { method: "POST", path: `/revert/${seq}` }, options);
  });
  addConfirmVerb(program, cli);
}

/** With a command after it the line never comes here: it is that command's dry run. */
function addPlanVerb(program: Command, cli: Cli): void {
  const plan = program
    .command("plan")
    .description("show what a command or a file would change, and change nothing; exits 10 if there is something")
    .argument("[command...]", "any command that changes something, with its arguments and options")
    .option("-f, --file <file>", "instead of a command: what `portreeve apply` would make of this file")
    .allowUnknownOption();
  examples(plan, [
    "portreeve plan port add 8443:443/tcp 192.168.7.2",
    "portreeve plan port remove 8443/tcp",
    "portreeve plan --file gateway.yaml --prune",
  ]);
  withPrune(plan).action(async (_command: string[], options: DeclarationOptions) => {
    if (options.file === undefined)
      throw usage("name the command to plan", "as in `portreeve plan port remove 8443/tcp`");
    await showPlan(cli, [await declarationCall(options.file, options)], {});
  });
}

/** The plan first: what it says is what is printed as done. */
async function takeBack(cli: Cli, call: Call, options: MutationOptions): Promise<void> {
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const plan = await cli.client.call<PlanDocument>({ ...call, query: { dryRun: true } });
  if (!plan.undoable) {
    const what = plan.objects.map(({ op, kind, name }) => `${op} ${kind} ${name}`).join(", ");
    await cli.confirm(`${what}, which can't be undone (${plan.because})`);
  }
  const [result] = (await mutate(cli, [call], options)) as (ResultDocument & { reverts: number })[];
  await cli.show(result, () => {
    return `Record ${result?.reverts} is undone by record ${result?.seq}:\n${plan.objects.map(objectText).join("\n")}\n`;
  });
}

function addConfirmVerb(program: Command, cli: Cli): void {
  const confirm = program
    .command("confirm")
    .description("keep what was changed with --confirm-within")
    .argument("[id]", "as the change said it; without it everything that waits");
  examples(confirm, ["portreeve port disable 8443/tcp --confirm-within 60s", "portreeve confirm"]);
  confirm.action(async (id?: string) => {
    const pending = await cli.client.call<ConfirmationDocument[]>({ path: "/confirmations" });
    const chosen = id === undefined ? pending : pending.filter((each) => each.id === id);
    if (chosen.length === 0) {
      const what = id === undefined ? "nothing waits for a confirmation" : `${id} waits for no confirmation`;
      throw new Failure(EXIT.notFound, what, "`portreeve events list --type confirmation` tells what became of it");
    }
    for (const { id: each } of chosen) {
      await cli.client.call<ResultDocument>({ method: "POST", path: `/confirmations/${each}/confirm` });
    }
    await cli.show(chosen, () => chosen.map((each) => `${objectNames(each)} stays as it is.\n`).join(""));
  });
}

const objectNames = ({ objects }: ConfirmationDocument): string =>
  objects.map(({ kind, name }) => `${kind} ${name}`).join(", ");

export function confirmationText(pending: ConfirmationDocument, now: number): string {
  return `${objectNames(pending)} is undone ${whenText(pending.until, now)} unless confirmed: portreeve confirm ${pending.id}`;
}
