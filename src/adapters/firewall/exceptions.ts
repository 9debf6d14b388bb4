import { chmod, chown, readFile, rename, stat, writeFile } from "node:fs/promises";
import { unreachable } from "../../lib/assert.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import { words } from "../../protocols/iptables-save/rule.ts";
import type { ExceptionStep } from "../../reducers/doctor/exception.ts";
import { runProgram, succeeds } from "./program.ts";
import { bindInterface, firewalldPolicies } from "./firewalld-policies.ts";
import { legacyTables } from "./iptables-rules.ts";
import { withoutUfwRules, withUfwRule } from "./ufw-rules.ts";

const UFW_RULES_FILE = "/etc/ufw/before.rules";

/** An exception that is there, and what takes it away. */
export interface FoundException {
  /** "ufw allow in on lan0 …", "rule in table inet filter, chain forward". */
  readonly text: string;
  readonly remove: readonly Removal[];
}

type Removal =
  | { readonly kind: "run"; readonly command: readonly string[] }
  /** Our lines of ufw's file. */
  | { readonly kind: "ufw-rules"; readonly comment: string };

/** Adds what is not there yet, in order; the first step that fails ends it. */
export async function addException(steps: readonly ExceptionStep[]): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case "run":
        if (step.unless === null || !(await succeeds(step.unless))) await runProgram(step.command);
        break;
      case "nft-rule":
        await addNftRule(step);
        break;
      case "firewalld-bind":
        await bindInterface(step);
        break;
      case "ufw-rule":
        await rewriteUfwRules((text) => withUfwRule(text, step.line));
        break;
      default:
        unreachable(step);
    }
  }
}

async function addNftRule({ family, table, chain, rule }: Extract<ExceptionStep, { kind: "nft-rule" }>): Promise<void> {
  const listed = await runProgram(["nft", "-s", "list", "chain", family, table, chain]);
  if (listed.split("\n").some((line) => line.trim() === rule)) return;
  await runProgram(["nft", "insert", "rule", family, table, chain, rule]);
}

/** Replaced in one step and with the same owner and mode. What ufw refuses is put back before anything else happens. */
async function rewriteUfwRules(change: (text: string) => string): Promise<void> {
  const before = await readFile(UFW_RULES_FILE, "utf8");
  const after = change(before);
  if (after === before) return;
  const { mode, uid, gid } = await stat(UFW_RULES_FILE);
  const write = async (text: string): Promise<void> => {
    const fresh = `${UFW_RULES_FILE}.portreeve`;
    await writeFile(fresh, text, { mode: mode & 0o777 });
    await chown(fresh, uid, gid);
    await chmod(fresh, mode & 0o777);
    await rename(fresh, UFW_RULES_FILE);
  };
  await write(after);
  try {
    await runProgram(["ufw", "reload"]);
  } catch (cause) {
    await write(before);
    await runProgram(["ufw", "reload"]);
    throw cause;
  }
}

/** Everything in other firewalls that bears our comment, or our name where there are no comments. */
export async function findExceptions(
  comment: string,
  policies: readonly string[],
  chains: readonly FilterChain[],
): Promise<FoundException[]> {
  const iptables = ["iptables-nft", ...((await legacyTables()) === "" ? [] : ["iptables-legacy"])];
  const found = [
    await inUfw(comment),
    ...(await Promise.all(iptables.map((program) => inIptables(program, comment)))),
    inNftables(comment, chains),
    await inFirewalld(policies),
  ];
  return found.flat();
}

export async function removeException({ remove }: FoundException): Promise<void> {
  for (const step of remove) {
    if (step.kind === "run") await runProgram(step.command);
    else await rewriteUfwRules((text) => withoutUfwRules(text, step.comment));
  }
}

async function inUfw(comment: string): Promise<FoundException[]> {
  const file = await readFile(UFW_RULES_FILE, "utf8").catch(() => "");
  if (file === "") return [];
  const found: FoundException[] = [];
  if (withoutUfwRules(file, comment) !== file) {
    found.push({ text: `a rule in ${UFW_RULES_FILE}`, remove: [{ kind: "ufw-rules", comment }] });
  }
  const added = await runProgram(["ufw", "show", "added"]).catch(() => "");
  for (const line of added.split("\n").filter((each) => each.endsWith(` comment '${comment}'`))) {
    const rule = line.split(" ").slice(1, -2);
    const remove = rule[0] === "route" ? ["ufw", "route", "delete", ...rule.slice(1)] : ["ufw", "delete", ...rule];
    found.push({ text: line, remove: [{ kind: "run", command: remove }] });
  }
  return found;
}

/** Chains of ufw are filled from its files. */
async function inIptables(program: string, comment: string): Promise<FoundException[]> {
  const saved = await runProgram([`${program}-save`, "-t", "filter"]).catch(() => "");
  return saved.split("\n").flatMap((line): FoundException[] => {
    const [append, chain = "", ...rule] = words(line);
    const at = rule.indexOf("--comment");
    if (append !== "-A" || chain.startsWith("ufw-") || at < 0 || rule[at + 1] !== comment) return [];
    return [{ text: `${program} ${line}`, remove: [{ kind: "run", command: [program, "-D", chain, ...rule] }] }];
  });
}

function inNftables(comment: string, chains: readonly FilterChain[]): FoundException[] {
  return chains.flatMap(({ family, table, name, rules }) =>
    rules.flatMap((rule): FoundException[] => {
      if (rule.comment !== comment || rule.handle === null) return [];
      const place = [family, table, name];
      const remove = ["nft", "delete", "rule", ...place, "handle", String(rule.handle)];
      return [{ text: `nft rule in ${place.join(" ")}: ${rule.text}`, remove: [{ kind: "run", command: remove }] }];
    }),
  );
}

async function inFirewalld(policies: readonly string[]): Promise<FoundException[]> {
  const found = await firewalldPolicies(policies);
  return found.map(({ text, remove }) => ({ text, remove: remove.map((words) => ({ kind: "run", command: words })) }));
}
