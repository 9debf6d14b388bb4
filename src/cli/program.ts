import { Argument, Command, CommanderError } from "commander";
import { nearestWord } from "../lib/suggestion.ts";
import { Cli, type Outside } from "./cli.ts";
import { completionScript, SHELLS, type Shell } from "./completion.ts";
import { EXIT, exitOf, Failure } from "./exit.ts";
import { PortreeveError } from "../lib/errors.ts";
import { plannedLine } from "./plan-line.ts";
import { examples } from "./program-parts.ts";
import { painter, printable, wantsColor } from "./terminal.ts";
import { addImportVerb } from "./verbs/import-verb.ts";
import { addBackupVerbs } from "./verbs/backup-verbs.ts";
import { addChangeVerbs } from "./verbs/change-verbs.ts";
import { addDaemonVerbs } from "./verbs/daemon-verbs.ts";
import { addDeclarationVerbs } from "./verbs/declaration-verbs.ts";
import { addDeviceVerbs } from "./verbs/device-verbs.ts";
import { addDnsVerbs } from "./verbs/dns-verbs.ts";
import { addDoctorVerb } from "./verbs/doctor-verb.ts";
import { addEventVerbs } from "./verbs/event-verbs.ts";
import { addPortVerbs } from "./verbs/port-verbs.ts";
import { addRouteVerbs } from "./verbs/route-verbs.ts";
import { addRequestVerbs } from "./verbs/request-verbs.ts";
import { addSubnetVerbs } from "./verbs/subnet-verbs.ts";
import { addReconcilerVerbs } from "./verbs/reconciler-verbs.ts";
import { addSnapshotVerbs } from "./verbs/snapshot-verbs.ts";
import { addStateVerbs } from "./verbs/state-verbs.ts";
import { addTopVerb } from "./verbs/top-verb.ts";
import { addTokenVerbs } from "./verbs/token-verbs.ts";
import { addWhyVerbs } from "./verbs/why-verbs.ts";
import { addUserVerbs } from "./verbs/user-verbs.ts";
import { addStatusVerb, nextSteps, showStatus } from "./verbs/status-verb.ts";

/** Runs one command line; resolves with its exit code and never rejects for what the world did. */
export async function runCommandLine(args: readonly string[], outside: Outside): Promise<number> {
  const { program, cli } = buildProgram(outside);
  try {
    await program.parseAsync(plannedLine(program, args) ?? [...args], { from: "user" });
    return cli.exitCode;
  } catch (cause) {
    return explain(cause, outside);
  }
}

export function buildProgram(outside: Outside): { program: Command; cli: Cli } {
  const program = new Command("portreeve");
  const cli = new Cli(program, outside);
  // Subcommands copy these when they are made, so they come first.
  program.exitOverride().configureOutput({
    writeOut: (text) => void outside.terminal.out(text),
    writeErr: (text) => outside.terminal.err(text),
  });
  program
    .description("controls a network gateway: ports, devices, and the log of everything that happened")
    .version(outside.version, "--version", "print the version")
    .option("--socket <path>", "the daemon's socket; PORTREEVE_SOCKET, else /run/portreeve/portreeve.sock")
    .option("--json", "one JSON document on stdout")
    .option("--jsonl", "JSON, one item a line")
    .option("--wait", "wait until a change is effective (the default)")
    .option("--no-wait", "return as soon as a change is logged")
    .option("--yes", "don't ask before something is destroyed")
    .option("--no-color", "no colours; so does NO_COLOR")
    .configureHelp({ showGlobalOptions: true });
  examples(program, [
    "portreeve status",
    "portreeve port add 8443:443/tcp 192.168.7.2 --label web",
    "portreeve port list",
    "portreeve events tail",
    "portreeve run --config /etc/portreeve/portreeve.yaml",
  ]);
  addStatusVerb(program, cli);
  addTopVerb(program, cli);
  addDoctorVerb(program, cli);
  addPortVerbs(program, cli);
  addRouteVerbs(program, cli);
  addSubnetVerbs(program, cli);
  addDeviceVerbs(program, cli);
  addDnsVerbs(program, cli);
  addDeclarationVerbs(program, cli);
  addImportVerb(program, cli);
  addRequestVerbs(program, cli);
  addEventVerbs(program, cli);
  addChangeVerbs(program, cli);
  addStateVerbs(program, cli);
  addWhyVerbs(program, cli);
  addReconcilerVerbs(program, cli);
  addSnapshotVerbs(program, cli);
  addUserVerbs(program, cli);
  addTokenVerbs(program, cli);
  addBackupVerbs(program, cli);
  addDaemonVerbs(program, cli);
  addOwnVerbs(program, cli);
  // Last, as it is for the program alone: a word that is no command is an argument of it, and gets a suggestion.
  program.allowExcessArguments().action(async () => await withoutVerb(program, cli));
  return { program, cli };
}

async function withoutVerb(program: Command, cli: Cli): Promise<void> {
  const [word] = program.args;
  if (word !== undefined) {
    const near = nearestWord(
      word,
      program.commands.map((each) => each.name()),
    );
    const next = near === null ? "`portreeve --help` lists the commands" : `did you mean \`portreeve ${near}\`?`;
    throw new Failure(EXIT.usage, `there is no command ${printable(word)}`, next);
  }
  const status = await showStatus(cli);
  if (cli.machine === null) cli.say(nextSteps(status));
}

function addOwnVerbs(program: Command, cli: Cli): void {
  examples(program.command("completion"), ["portreeve completion bash"])
    .description("a script that completes commands in a shell")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action(async (shell: Shell) => await cli.write(completionScript(program, shell)));
  examples(program.command("version"), ["portreeve version"])
    .description("the version of this program")
    .action(async () => {
      const { version } = cli.outside;
      await cli.show({ version, node: process.version }, () => `portreeve ${version} on Node ${process.version}\n`);
    });
}

/** Says what happened, why, and what to do next. */
function explain(cause: unknown, { terminal, env }: Outside): number {
  const say = (message: string, next: string | null): void => {
    const paint = painter(wantsColor({ ...terminal, isScreen: terminal.interactive }, env, true));
    terminal.err(`${paint("red", "error:")} ${message}\n${next === null ? "" : `${next}\n`}`);
  };
  if (cause instanceof CommanderError) {
    // It has printed what there is to say: help that was asked for, or a mistake with its suggestion.
    return cause.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  if (cause instanceof Failure) {
    say(cause.message, cause.next);
    return cause.exitCode;
  }
  if (cause instanceof PortreeveError) {
    say(`${cause.message} (${cause.code})`, null);
    return exitOf(cause.code);
  }
  throw cause;
}
