import type { Command } from "commander";
import type { StateDiff, StateDocument } from "../../api/schemas/history.ts";
import type { Provenance } from "../../api/schemas/provenance.ts";
import type { Cli } from "../cli.ts";
import { parseMoment, whenText } from "../duration.ts";
import { EXIT, usage } from "../exit.ts";
import { recordLine } from "../event-text.ts";
import { choosePorts, namesOne } from "../port-choice.ts";
import { externalText, portDetails } from "../port-view.ts";
import { examples, noun } from "../program-parts.ts";
import { printable } from "../terminal.ts";
import { textTable } from "../text-table.ts";

export function addStateVerbs(program: Command, cli: Cli): void {
  const state = noun(program, "state", "what the log folds into");
  examples(state, ["portreeve state show --at '2h ago'", "portreeve state diff --from 1842"]);
  state
    .command("show")
    .description("the state, now or at any moment")
    .option("--at <moment>", "a seq, a time, or `2h ago`")
    .action(async ({ at }: { at?: string }) => {
      const query = { at: at === undefined ? null : parseMoment(at, cli.now) };
      const document = await cli.client.call<StateDocument>({ path: "/state", query });
      await cli.show(document, () => `${JSON.stringify(document, null, 2)}\n`);
    });
  state
    .command("diff")
    .description("what differs between two moments")
    .requiredOption("--from <moment>", "a seq, a time, or `2h ago`")
    .option("--to <moment>", "now if left out")
    .action(async ({ from, to }: { from: string; to?: string }) => {
      const query = { from: parseMoment(from, cli.now), to: to === undefined ? null : parseMoment(to, cli.now) };
      const diff = await cli.client.call<StateDiff>({ path: "/state/diff", query });
      await cli.show(diff, () => diffText(diff));
    });
  addReplayVerb(program, cli);
  addWhyVerb(program, cli);
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
  program
    .command("replay")
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

function addWhyVerb(program: Command, cli: Cli): void {
  const why = noun(program, "why", "where something comes from");
  examples(why, ["portreeve why port 8443/tcp"]);
  why
    .command("port")
    .description("who wants a port, since which record, and what became of each of its rows in the kernel")
    .argument("<port>", "id, or [ADDRESS:]PORT[/tcp|/udp]; no protocol means both")
    .action(async (text: string) => {
      const ports = await choosePorts(cli.client, text);
      const whys: Provenance[] = [];
      for (const { id } of ports) whys.push(await cli.client.call<Provenance>({ path: `/why/port/${id}` }));
      await cli.show(namesOne(text) ? whys[0] : whys, () => whys.map((each) => whyText(each, cli)).join("\n"));
    });
}

function whyText({ port, claims, events, unread, rows }: Provenance, cli: Cli): string {
  const claimLines = claims.map(({ key, by, seq, expiresAt }) => {
    const since = seq === null ? "" : `, since record ${seq}`;
    return `  ${printable(key)} by ${by ?? "an operator"}${since}, ends ${whenText(expiresAt, cli.now)}\n`;
  });
  const rowLines = textTable(
    ["RECONCILER", "ROW", "STATE", "REVISION", "ERROR"],
    rows.map((row) => [row.reconciler, row.key, row.status, `${row.revision}`, row.error ?? ""]),
    cli.paint,
  );
  return [
    `${portDetails(port, cli.now, cli.paint)}\n`,
    `${externalText(port)} is there because of\n${claimLines.join("")}\n`,
    `It came about by\n${events.map((each) => recordLine(each, cli.paint)).join("")}\n`,
    unread === null ? "" : `Records ${unread.first} to ${unread.last} were not looked through.\n\n`,
    rows.length === 0 ? "No row of the kernel belongs to it.\n" : rowLines,
  ].join("");
}
