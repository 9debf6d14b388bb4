import { type Declaration, declaration } from "../events/declaration.ts";
import { ConfigError, problemsOf } from "./problem.ts";
import { readText, readYaml } from "./yaml-file.ts";

/** Reads and checks; throws a `ConfigError` with everything that is wrong, from top to bottom. */
export function loadDeclaration(file: string): Declaration {
  return parseDeclaration(readText(file), file);
}

export function parseDeclaration(text: string, name: string): Declaration {
  const { content, lineOf } = readYaml(text, name, "name: home");
  const parsed = declaration.safeParse(content ?? {}, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => {
    return problemsOf(issue, declaration, (path) => ({ where: `${name}:${lineOf(path)}`, line: lineOf(path) }));
  });
  throw new ConfigError(problems.sort((a, b) => a.line - b.line));
}
