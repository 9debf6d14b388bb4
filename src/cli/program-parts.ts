import type { Command } from "commander";

/** A noun with its verbs. Alone it shows them. */
export function noun(program: Command, name: string, description: string): Command {
  return program.command(name).description(description);
}

const EXAMPLES = new WeakMap<Command, readonly string[]>();

/** Examples come first in the help: most people look for the line to copy. */
export function examples(command: Command, lines: readonly string[]): Command {
  EXAMPLES.set(command, lines);
  return command.addHelpText("before", `Examples:\n${lines.map((line) => `  ${line}`).join("\n")}\n`);
}

/** For the manual, and for the test that runs them. */
export const examplesOf = (command: Command): readonly string[] => EXAMPLES.get(command) ?? [];
