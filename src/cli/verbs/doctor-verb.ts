import type { Command } from "commander";
import type { DoctorDocument, FindingDocument } from "../../api/schemas/doctor.ts";
import type { Cli } from "../cli.ts";
import { EXIT, usage } from "../exit.ts";
import { examples } from "../program-parts.ts";
import { counted } from "../text-table.ts";
import { type Paint, printable, type Style } from "../terminal.ts";

interface Options {
  readonly fix?: boolean;
  readonly unfix?: boolean;
}

export function addDoctorVerb(program: Command, cli: Cli): void {
  const doctor = program
    .command("doctor")
    .description("look for what keeps the gateway from working, and say what helps; exits 8 if it finds something")
    .option("--fix", "add the exceptions that other firewalls on this machine need; asks first")
    .option("--unfix", "take away again all that --fix has added")
    .action(async ({ fix = false, unfix = false }: Options) => {
      if (fix && unfix) throw usage("--fix and --unfix are opposites", "give one of them");
      if (unfix) await removeExceptions(cli);
      else await examine(cli, fix);
    });
  examples(doctor, ["portreeve doctor", "portreeve doctor --fix", "portreeve doctor --unfix --yes"]);
}

async function examine(cli: Cli, fix: boolean): Promise<void> {
  let document = await ask(cli);
  if (fix) {
    const wanted = document.findings.flatMap(({ message, exception }) =>
      exception === null ? [] : [{ message, exception }],
    );
    if (wanted.length === 0) cli.say("No other firewall needs an exception.");
    for (const { message, exception } of wanted) {
      cli.say(`${printable(message)}. To let that pass, and nothing else:`);
      for (const line of exception.commands) cli.say(`  ${printable(line)}`);
    }
    if (wanted.length > 0) {
      await cli.confirm(`add ${wanted.length === 1 ? "this exception" : `these ${wanted.length} exceptions`}`);
      for (const { exception } of wanted) {
        const { place, allow, mark, note } = exception;
        await cli.outside.programs.addException({ place, allow, mark });
        if (note !== null) cli.say(`Note: ${printable(note)}.`);
      }
      document = await ask(cli);
    }
  }
  await cli.show(document, () => doctorText(document, cli.paint));
  if (!document.healthy) cli.exitCode = EXIT.problemFound;
}

const ask = (cli: Cli): Promise<DoctorDocument> => cli.client.call<DoctorDocument>({ path: "/doctor" });

async function removeExceptions(cli: Cli): Promise<void> {
  const { found, remove } = await cli.outside.programs.findExceptions();
  for (const text of found) cli.say(printable(text));
  if (found.length > 0) {
    await cli.confirm(`remove ${found.length === 1 ? "this exception" : `these ${found.length} exceptions`}`);
    await remove();
  }
  await cli.show({ removed: found }, () =>
    found.length === 0 ? "No firewall here has an exception of Portreeve's.\n" : `Removed ${found.length}.\n`,
  );
}

const SIGNS: Readonly<Record<FindingDocument["level"], readonly [string, Style]>> = {
  ok: ["✓", "green"],
  warning: ["!", "yellow"],
  problem: ["✗", "red"],
};

/** Each check on a line; below what is wrong, where and what to do. */
function doctorText({ findings }: DoctorDocument, paint: Paint): string {
  const lines = findings.flatMap(({ level, message, details, fix, exception }) => {
    const [sign, style] = SIGNS[level];
    const below = level === "ok" ? [] : [...details, ...(exception?.commands ?? [])];
    return [
      `${paint(style, sign)} ${printable(message)}`,
      ...below.map((line) => `    ${paint("dim", printable(line))}`),
      ...(fix === null ? [] : [`    ${printable(fix)}`]),
    ];
  });
  const count = (level: FindingDocument["level"]): number => findings.filter((each) => each.level === level).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const end =
    problems + warnings === 0
      ? paint("green", "All is well.")
      : `${counted(problems, "problem")}, ${counted(warnings, "warning")}.`;
  return `${[...lines, "", end].join("\n")}\n`;
}
