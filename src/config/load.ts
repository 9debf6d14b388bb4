import { type Override, readOverrides, withOverrides } from "./environment.ts";
import { ConfigError, type ConfigProblem, type Path, type Place, problemsOf } from "./problem.ts";
import { type Config, configSchema } from "./schema.ts";
import { readText, readYaml } from "./yaml-file.ts";

export { ConfigError, type ConfigProblem, problemText } from "./problem.ts";

export const DEFAULT_CONFIG_FILE = "/etc/portreeve/portreeve.yaml";

export interface LoadedConfig {
  readonly config: Config;
  /** Null: nothing but defaults and the environment. */
  readonly file: string | null;
  readonly overrides: readonly Override[];
  /** What was accepted and does nothing yet: sentences. */
  readonly notes: readonly string[];
}

/** Reads, overrides, checks. Throws a `ConfigError`. */
export function loadConfig(file: string | null, env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  return parseConfig(file === null ? "" : readText(file), file, env);
}

export function parseConfig(
  text: string,
  file: string | null,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const name = file ?? "configuration";
  const { content, lineOf } = readYaml(text, name, "lan: [{ interface: lan0 }]");
  const { overrides, faults } = readOverrides(env);
  const whole = withOverrides(content, overrides);
  const parsed = configSchema.safeParse(whole, { reportInput: true });
  const problems = faults.map(({ variable, message, suggestion }): ConfigProblem => {
    return { where: variable, line: 0, key: "", message, suggestion };
  });
  const place = (path: Path): Place => {
    const variable = overriding(overrides, path)?.variable;
    const line = variable === undefined ? lineOf(path) : 0;
    return { where: variable ?? `${name}:${line}`, line };
  };
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap((issue) => problemsOf(issue, configSchema, place)));
  problems.sort((a, b) => a.line - b.line);
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return { config: parsed.data, file, overrides, notes: [] };
}

function overriding(overrides: readonly Override[], path: Path): Override | undefined {
  return overrides.find((override) => override.path.every((key, index) => path[index] === key));
}
