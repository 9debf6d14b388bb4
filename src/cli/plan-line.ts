import type { Command } from "commander";
import { usage } from "./exit.ts";

/**
 * A verb behind `plan` is that very command line with `--dry-run`, so that it plans whatever the verb would do. Null:
 * the line is another.
 */
export function plannedLine(program: Command, args: readonly string[]): string[] | null {
  const at = operandAfter(program, args, 0);
  if (args[at] !== "plan") return null;
  const rest = args.slice(at + 1);
  if (rest[0] === undefined || rest[0].startsWith("-")) return null;
  let [command, end] = [program, 0];
  for (const word of rest) {
    const inner = command.commands.find((each) => each.name() === word);
    if (inner === undefined) break;
    [command, end] = [inner, end + 1];
  }
  if (
    command !== program &&
    command.commands.length === 0 &&
    !command.options.some(({ long }) => long === "--dry-run")
  ) {
    throw usage(`${rest.slice(0, end).join(" ")} changes nothing, so there is nothing to plan`);
  }
  const planned = command.commands.length === 0 ? ["--dry-run"] : [];
  return [...args.slice(0, at), ...rest.slice(0, end), ...planned, ...rest.slice(end)];
}

/** Where the first word is that is neither an option nor the value of one. */
function operandAfter(program: Command, args: readonly string[], from: number): number {
  let index = from;
  while (args[index]?.startsWith("-")) {
    const option = program.options.find(({ long, short }) => args[index] === long || args[index] === short);
    index += option?.required === true ? 2 : 1;
  }
  return index;
}
