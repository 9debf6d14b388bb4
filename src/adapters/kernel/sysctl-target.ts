import { readFile, writeFile } from "node:fs/promises";
import type { Outcome, Target } from "../../reconcilers/contract.ts";
import type { SysctlRow } from "../../reducers/select/rows.ts";
import type { Links } from "./links.ts";

/** Interface names may hold dots, so only the parts we name ourselves are split at them. */
export function sysctlPath(name: string): string {
  const perInterface = /^net\.(ipv[46])\.conf\.(.+)\.([a-z_]+)$/.exec(name);
  if (perInterface !== null) return `/proc/sys/net/${perInterface[1]}/conf/${perInterface[2]}/${perInterface[3]}`;
  return `/proc/sys/${name.replaceAll(".", "/")}`;
}

export interface SysctlTarget extends Target<SysctlRow, string> {
  /** Told of every reading of the interfaces: one that was made anew has the machine's defaults, whatever its name. */
  interfacesSeen(links: Links): void;
}

/**
 * Kernel parameters. They bear no mark of ours, so only the names that are desired now are looked at, and a value is
 * never put back: another program may rely on it by then.
 */
export function createSysctlTarget(names: () => Iterable<string>): SysctlTarget {
  /** Of the last reading: a name is used again, an index is not. */
  let indexes: ReadonlySet<number> | null = null;
  let madeAnew = false;
  let onDrift: ((by: string) => void) | null = null;
  return {
    name: "sysctls",
    async observe() {
      madeAnew = false;
      const observed = new Map<string, string>();
      for (const name of names()) {
        const value = await readFile(sysctlPath(name), "utf8").catch(() => null);
        if (value !== null) observed.set(name, value.trim());
      }
      return observed;
    },
    expected: (spec) => spec.value,
    // Nothing tells of other changes here; reading them again at each refresh is soon enough.
    unchanged: () => !madeAnew,
    watch(call) {
      onDrift = call;
      return {
        close: () => {
          onDrift = null;
        },
      };
    },
    interfacesSeen({ links }) {
      const known = indexes;
      indexes = new Set(links.map(({ index }) => index));
      if (known === null || links.every(({ index }) => known.has(index))) return;
      madeAnew = true;
      onDrift?.("a new interface");
    },
    async apply(plan) {
      const outcomes: Outcome[] = [];
      for (const change of plan) {
        if (change.op === "delete") outcomes.push({ key: change.key, ok: true });
        else outcomes.push(await set(change.desired.spec));
      }
      return outcomes;
    },
  };
}

async function set({ name, value, reason }: SysctlRow): Promise<Outcome> {
  try {
    await writeFile(sysctlPath(name), value);
    return { key: name, ok: true };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "EIO";
    const message = `${name} could not be set to ${value} (${code}): ${reason}. Run: sysctl -w ${name}=${value}`;
    return { key: name, ok: false, error: { code, message, disposition: "transient" } };
  }
}
