import { PortreeveError } from "../../lib/errors.ts";

/** Stands above a line of ours, for whoever reads the file. */
const HEADING = "# Added by `portreeve doctor --fix`; `portreeve doctor --unfix` takes it away again.";

/** The file with the rule as the last one of its filter table; the same text if it has it. */
export function withUfwRule(text: string, rule: string): string {
  const lines = text.split("\n");
  if (lines.includes(rule)) return text;
  const start = lines.indexOf("*filter");
  const commit = lines.indexOf("COMMIT", Math.max(start, 0));
  if (start < 0 || commit < 0) {
    const message = "/etc/ufw/before.rules has no filter table with a COMMIT; add the rule by hand";
    throw new PortreeveError("APPLY_FAILED", message, "terminal");
  }
  return [...lines.slice(0, commit), HEADING, rule, ...lines.slice(commit)].join("\n");
}

/** The file without rules that bear the comment. */
export function withoutUfwRules(text: string, comment: string): string {
  return text
    .split("\n")
    .filter((line) => line !== HEADING && !bears(line, comment))
    .join("\n");
}

const bears = (line: string, comment: string): boolean =>
  line.startsWith("-") && new RegExp(`--comment "?${comment}"?( |$)`).test(line);
