import type { z } from "zod";
import { PortreeveError } from "../lib/errors.ts";
import { nearestWord } from "../lib/suggestion.ts";
import { keysAt } from "./schema-walk.ts";

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

export type Path = readonly PropertyKey[];
export type Place = Pick<ConfigProblem, "where" | "line">;

/** What zod found, in sentences, with what was probably meant. */
export function problemsOf(
  issue: z.core.$ZodIssue,
  schema: z.core.$ZodType,
  place: (path: Path) => Place,
): ConfigProblem[] {
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, issue.path);
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
