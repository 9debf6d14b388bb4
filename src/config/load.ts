import { readFileSync } from "node:fs";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { PortreeveError } from "../lib/errors.ts";
import { nearestWord } from "../lib/suggestion.ts";
import { type Override, readOverrides, withOverrides } from "./environment.ts";
import { type Config, configSchema } from "./schema.ts";
import { keysAt } from "./schema-walk.ts";

export const DEFAULT_CONFIG_FILE = "/etc/portreeve/portreeve.yaml";

export interface ConfigProblem {
  /** "portreeve.yaml:12", or the environment variable. */
  readonly where: string;
  /** Line of the file, from 1; 0 for what is not in it. */
  readonly line: number;
  /** "portControl.lifetime.max"; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
  /** What was probably meant. */
  readonly suggestion: string | null;
}

/** Everything that is wrong: first the environment, then the file from top to bottom. */
export class ConfigError extends PortreeveError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: { cause?: unknown }) {
    super("CONFIG_INVALID", problems.map(problemText).join("\n"), "terminal", options);
    this.problems = problems;
  }
}

export function problemText({ where, key, message, suggestion }: ConfigProblem): string {
  const hint = suggestion === null ? "" : `. Did you mean \`${suggestion}\`?`;
  return `${where}: ${key === "" ? "" : `\`${key}\` `}${message}${hint}`;
}

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
  return parseConfig(file === null ? "" : readConfigFile(file), file, env);
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = code === "ENOENT" ? "there is no such file" : `cannot be read (${code ?? String(cause)})`;
    throw new ConfigError([{ where: file, line: 0, key: "", message, suggestion: null }], { cause });
  }
}

export function parseConfig(
  text: string,
  file: string | null,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const name = file ?? "configuration";
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  // What yaml only warns of, such as a tag it does not know, was not understood either.
  const unread = [...document.errors, ...document.warnings];
  if (unread.length > 0) {
    throw new ConfigError(
      unread.map(({ pos, message }) => {
        const { line } = lines.linePos(pos[0]);
        return { where: `${name}:${line}`, line, key: "", message, suggestion: null };
      }),
    );
  }
  const content = contentOf(document, name);
  if (!isMap(document.contents) && content !== null) {
    const message = "must hold keys and values, as in `lan: [{ interface: lan0 }]`";
    throw new ConfigError([{ where: `${name}:1`, line: 1, key: "", message, suggestion: null }]);
  }
  const { overrides, faults } = readOverrides(env);
  const whole = withOverrides(content, overrides);
  const parsed = configSchema.safeParse(whole, { reportInput: true });
  const problems = faults.map(({ variable, message, suggestion }): ConfigProblem => {
    return { where: variable, line: 0, key: "", message, suggestion };
  });
  const place = (path: Path): Place => {
    const variable = overriding(overrides, path)?.variable;
    const line = variable === undefined ? lines.linePos(offsetOf(document, path)).line : 0;
    return { where: variable ?? `${name}:${line}`, line };
  };
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap((issue) => problemsOf(issue, place)));
  problems.sort((a, b) => a.line - b.line);
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return { config: parsed.data, file, overrides, notes: notesOn(whole) };
}

/** Null for a file that holds nothing. Aliases are resolved only here: one that cannot be is a fault of the file. */
function contentOf(document: Document.Parsed, name: string): unknown {
  try {
    return document.toJS() ?? null;
  } catch (cause) {
    const message = `has an alias that cannot be resolved: ${(cause as Error).message}`;
    throw new ConfigError([{ where: name, line: 0, key: "", message, suggestion: null }], { cause });
  }
}

type Path = readonly PropertyKey[];
type Place = Pick<ConfigProblem, "where" | "line">;

function problemsOf(issue: z.core.$ZodIssue, place: (path: Path) => Place): ConfigProblem[] {
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(configSchema, issue.path);
    return issue.keys.map((key) => {
      const near = nearestWord(key, known);
      const listed = near === null && known.length > 0 ? `; known here: ${known.join(", ")}` : "";
      const path = [...issue.path, key];
      return { ...place(path), key: keyText(path), message: `is not a known key${listed}`, suggestion: near };
    });
  }
  const { path } = issue;
  if (issue.code === "invalid_value" && typeof issue.input === "string") {
    const values = issue.values.map(String);
    const message = `must be one of ${values.join(", ")}`;
    return [{ ...place(path), key: keyText(path), message, suggestion: nearestWord(issue.input, values) }];
  }
  return [{ ...place(path), key: keyText(path), message: sentence(issue), suggestion: null }];
}

function sentence(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${issue.expected === "int" ? "a whole number" : `of type ${issue.expected}`}`;
    case "too_small":
      return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    default:
      return issue.message.replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  }
}

function keyText(path: Path): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : `${text === "" ? "" : "."}${String(step)}`;
  return text;
}

function overriding(overrides: readonly Override[], path: Path): Override | undefined {
  return overrides.find((override) => override.path.every((key, index) => path[index] === key));
}

/** Where in the text a path is; of one that is not there, where the innermost part is that is. */
function offsetOf(document: Document.Parsed, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
      if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

/** Keys of the file's contract that this version takes and does nothing with. */
const WITHOUT_EFFECT: readonly { readonly path: Path; readonly note: string }[] = [
  { path: ["dns"], note: "`dns` is accepted; this version serves no DNS yet" },
];

/** Said only of what someone wrote; null is how a section is switched off. */
function notesOn(content: unknown): string[] {
  return WITHOUT_EFFECT.filter(({ path }) => {
    const value = path.reduce<unknown>(
      (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
      content,
    );
    return value !== undefined && value !== null;
  }).map(({ note }) => note);
}
