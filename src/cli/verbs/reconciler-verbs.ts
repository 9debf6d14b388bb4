import type { Command } from "commander";
import type { PassDocument, ReconcilerDocument } from "../../api/schemas/status.ts";
import type { Cli } from "../cli.ts";
import type { Call } from "../client.ts";
import { parseDuration, whenText } from "../duration.ts";
import { EXIT } from "../exit.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";
import { examples, noun } from "../program-parts.ts";
import { textFields, textTable } from "../text-table.ts";

type RowPlan = readonly { readonly op: string; readonly key: string; readonly owners: readonly string[] }[];

const pathOf = (name: string): string => `/reconcilers/${encodeURIComponent(name)}`;

export function addReconcilerVerbs(program: Command, cli: Cli): void {
  const reconciler = noun(program, "reconciler", "what makes the kernel agree with the state");
  examples(reconciler, ["portreeve reconciler list", "portreeve reconciler pause nftables-forwards --for 10m"]);
  addReadingVerbs(reconciler, cli);
  addPassVerb(reconciler, cli, ["run", "compare everything and repair now"]);
  addPassVerb(reconciler, cli, ["release-brake", "let held-back deletes through, once"]);
  addPauseVerbs(reconciler, cli);
}

function addReadingVerbs(reconciler: Command, cli: Cli): void {
  examples(reconciler.command("list"), ["portreeve reconciler list"])
    .description("all of them with their health")
    .action(async () => {
      const all = await cli.client.call<ReconcilerDocument[]>({ path: "/reconcilers" });
      await cli.show(all, () => {
        if (all.length === 0) return "No reconciler runs: in safe mode the kernel is left as it is.\n";
        const rows = all.map((each) => [
          each.name,
          each.level,
          whenText(each.lastSuccessAt, cli.now),
          `${each.errorsCurrent}`,
          each.message,
        ]);
        return textTable(["RECONCILER", "HEALTH", "LAST GOOD PASS", "ERRORS", ""], rows, cli.paint);
      });
    });
  examples(reconciler.command("show"), ["portreeve reconciler show nftables-forwards"])
    .description("one of them with its last passes")
    .argument("<name>", "as `reconciler list` shows it")
    .action(async (name: string) => {
      const one = await cli.client.call<ReconcilerDocument & { passes: PassDocument[] }>({ path: pathOf(name) });
      await cli.show(one, () => {
        const fields = [
          ["name", one.name],
          ["health", `${one.level}: ${one.message}`],
          ["errors", `${one.errorsCurrent} rows now, ${one.heldBack} deletes held back`],
          ["paused", one.pausedUntil === null ? "no" : `until ${one.pausedUntil}`],
        ] as const;
        return `${textFields(fields, cli.paint)}\n${passTable(one.passes, cli)}`;
      });
    });
}

function passTable(passes: readonly PassDocument[], cli: Cli): string {
  if (passes.length === 0) return "No pass yet.\n";
  const rows = passes.map((pass) => [
    `${pass.id}`,
    whenText(pass.at, cli.now),
    passText(pass),
    `${Math.round(pass.durationMs)} ms`,
    pass.driftBy ?? "",
    pass.error ?? pass.reasons.join(", "),
  ]);
  return textTable(["PASS", "WHEN", "CHANGES", "TOOK", "DRIFT BY", "WHY"], rows, cli.paint);
}

function passText({ created, updated, deleted, failed, heldBack }: PassDocument): string {
  const parts = [
    [created, "created"],
    [updated, "updated"],
    [deleted, "deleted"],
    [failed, "failed"],
    [heldBack, "held back"],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return said.length === 0 ? "nothing to do" : said.join(", ");
}

function addPassVerb(reconciler: Command, cli: Cli, [verb, description]: readonly [string, string]): void {
  const line = `portreeve reconciler ${verb} nftables-forwards`;
  examples(reconciler.command(verb), [line, `${line} --dry-run`])
    .description(description)
    .argument("<name>", "as `reconciler list` shows it")
    .option("--dry-run", "show what it would change; exits 10 if there is something")
    .action(async (name: string, { dryRun = false }: { dryRun?: boolean }) => {
      const call: Call = { method: "POST", path: `${pathOf(name)}/${verb}`, query: dryRun ? { dryRun } : {} };
      if (dryRun) {
        const plan = await cli.client.call<RowPlan>(call);
        await cli.show(plan, () => plan.map(({ op, key }) => `${op} ${key}\n`).join("") || "Nothing would change.\n");
        if (plan.length > 0) cli.exitCode = EXIT.planHasChanges;
        return;
      }
      const pass = await cli.client.call<PassDocument>(call);
      await cli.show(pass, () => `${name}: ${pass.error ?? passText(pass)} in ${Math.round(pass.durationMs)} ms\n`);
      if (pass.error !== null || pass.failed > 0) cli.exitCode = EXIT.notSettled;
    });
}

function addPauseVerbs(reconciler: Command, cli: Cli): void {
  const pause = examples(reconciler.command("pause"), ["portreeve reconciler pause nftables-forwards --for 10m"])
    .description("leave its target alone for a while")
    .argument("<name>", "as `reconciler list` shows it")
    .option("--for <duration>", "how long", "1h");
  addMutationOptions(pause).action(async (name: string, options: MutationOptions & { for: string }) => {
    const seconds = parseDuration(options.for);
    await change(
      cli,
      { method: "POST", path: `${pathOf(name)}/pause`, body: { seconds } },
      options,
      `${name} is paused for ${options.for}`,
    );
  });
  const resume = examples(reconciler.command("resume"), ["portreeve reconciler resume nftables-forwards"])
    .description("end a pause")
    .argument("<name>", "as `reconciler list` shows it");
  addMutationOptions(resume).action(async (name: string, options: MutationOptions) => {
    await change(cli, { method: "POST", path: `${pathOf(name)}/resume` }, options, `${name} is not paused`);
  });
}

async function change(cli: Cli, call: Call, options: MutationOptions, said: string): Promise<void> {
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const [result] = await mutate(cli, [call], options);
  await cli.show(result, () => `${said}\n`);
}
