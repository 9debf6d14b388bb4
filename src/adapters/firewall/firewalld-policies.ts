import type { FirewalldStep } from "../../reducers/doctor/firewalld.ts";
import { runProgram, succeeds } from "./program.ts";

/** A policy's description names what was bound for it: "wan0=public", with blanks between. */
const BOUND = /([^\s=]+)=([^\s=]+)/g;

/** Nothing where a zone names the interface. The note first: what is bound without one would stay for ever. */
export async function bindInterface(step: Extract<FirewalldStep, { kind: "firewalld-bind" }>): Promise<void> {
  if (await succeeds(permanent(`--get-zone-of-interface=${step.interface}`))) return;
  const policy = `--policy=${step.policy}`;
  const before = await runProgram(permanent(policy, "--get-description"));
  const bound = new Set([...before.matchAll(BOUND)].map(([each]) => each)).add(`${step.interface}=${step.zone}`);
  await runProgram(permanent(policy, `--set-description=${[...bound].join(" ")}`));
  await runProgram(step.command);
}

/** Those of the names that are there, and the commands that take each away. */
export async function firewalldPolicies(
  names: readonly string[],
): Promise<{ readonly text: string; readonly remove: readonly (readonly string[])[] }[]> {
  const listed = (await runProgram(permanent("--get-policies")).catch(() => "")).split(/\s+/);
  const found = names.filter((name) => listed.includes(name));
  return await Promise.all(
    found.map(async (name) => {
      const description = await runProgram(permanent(`--policy=${name}`, "--get-description"));
      const bound = [...description.matchAll(BOUND)];
      const unbind = bound.map(([, own, zone]) => permanent(`--zone=${zone}`, `--remove-interface=${own}`));
      const also = bound.map(([, own, zone]) => `, ${own} in zone ${zone} by name`).join("");
      const remove = [...unbind, permanent(`--delete-policy=${name}`), ["firewall-cmd", "--reload"]];
      return { text: `firewalld policy ${name}${also}`, remove };
    }),
  );
}

const permanent = (...words: string[]): string[] => ["firewall-cmd", "--permanent", ...words];
