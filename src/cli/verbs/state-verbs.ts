import type { Command } from "commander";
import type { StateDiff, StateDocument } from "../../api/schemas/history.ts";
import type { Cli } from "../cli.ts";
import { parseMoment } from "../duration.ts";
import { EXIT, usage } from "../exit.ts";
import { examples, noun } from "../program-parts.ts";
import { printable } from "../terminal.ts";

export function addStateVerbs(program: Command, cli: Cli): void {
  const state = noun(program, "state", "what the log folds into");
  examples(state, ["portreeve state show --at '2h ago'", "portreeve state diff --from 1842"]);
  examples(state.command("show"), ["portreeve state show --json", "portreeve state show --at '2h ago'"])
    .description("the state, now or at any moment")
    .option("--at <moment>", "a seq, a time, or `2h ago`")
    .action(async ({ at }: { at?: string }) => {
      const query = { at: at === undefined ? null : parseMoment(at, cli.now) };
      const document = await cli.client.call<StateDocument>({ path: "/state", query });
      await cli.show(document, () => `${JSON.stringify(document, null, 2)}\n`);
    });
  examples(state.command("diff"), ["portreeve state diff --from 1842"])
    .description("what differs between two moments")
    .requiredOption("--from <moment>", "a seq, a time, or `2h ago`")
    .option("--to <moment>", "now if left out")
    .action(async ({ from, to }: { from: string; to?: string }) => {
      const query = { from: parseMoment(from, cli.now), to: to === undefined ? null : parseMoment(to, cli.now) };
      const diff = await cli.client.call<StateDiff>({ path: "/state/diff", query });
      await cli.show(diff, () => diffText(diff));
    });
  addReplayVerb(program, cli);
}

const SIGNS = { add: "+", change: "~", remove: "-" } as const;

function diffText({ from, to, changes }: StateDiff): string {
  if (changes.length === 0) return `Nothing differs between records ${from} and ${to}.\n`;
  const lines = changes.map(({ op, path, before, after }) => {
    const value =
      op === "add"
        ? JSON.stringify(after)
        : op === "remove"
          ? JSON.stringify(before)
          : `${JSON.stringify(before)} → ${JSON.stringify(after)}`;
    return printable(`${SIGNS[op]} ${path}  ${value}`);
  });
  return `${lines.join("\n")}\n`;
}

function addReplayVerb(program: Command, cli: Cli): void {
  examples(program.command("replay"), ["portreeve replay --data-dir /var/lib/portreeve --verify"])
    .description("fold a data directory's log from its first record, on a copy, without a daemon")
    .requiredOption("--data-dir <dir>", "the directory; nothing is written to it")
    .option("--to <seq>", "fold up to this record")
    .option("--verify", "check every invariant of the result too; exits 8 if one does not hold")
    .option("--state", "print the state as well")
    .action(async (options: { dataDir: string; to?: string; verify?: true; state?: true }) => {
      if (options.to !== undefined && !/^\d+$/.test(options.to)) throw usage(`${options.to} is not a seq`);
      const to = options.to === undefined ? null : Number(options.to);
      const { state, at, faults, ...rest } = await cli.outside.programs.replay(options.dataDir, to);
      const verified = options.verify === true ? { faults } : {};
      const document = { ...rest, at: new Date(at).toISOString(), ...verified, ...(options.state && { state }) };
      await cli.show(document, () => {
        const broken = options.verify === true ? faults.map((fault) => `${cli.paint("red", "broken")} ${fault}\n`) : [];
        const checked = options.verify === true && faults.length === 0 ? "every invariant holds\n" : "";
        const text = `record ${rest.seq} of ${document.at}\nhash ${rest.hash}\ncontent ${rest.contentHash}\n${checked}${broken.join("")}`;
        return options.state === true ? `${text}${JSON.stringify(state, null, 2)}\n` : text;
      });
      if (options.verify === true && faults.length > 0) cli.exitCode = EXIT.problemFound;
    });
}
