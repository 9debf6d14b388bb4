import { readFile, writeFile } from "node:fs/promises";
import type { Outcome, ReconcileError, Target } from "../../reconcilers/contract.ts";
import type { AdvertisementFacts } from "../../reducers/doctor/machine.ts";
import type { SysctlRow } from "../../reducers/select/rows.ts";
import type { Links } from "./links.ts";
import { readAdvertisements } from "./router-advertisements.ts";

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
export function createSysctlTarget(
  names: () => Iterable<string>,
  advertisements: () => Promise<readonly AdvertisementFacts[]> = readAdvertisements,
): SysctlTarget {
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
      // Behind what keeps the routes that it would end.
      const inOrder = [...plan].sort((a, b) => Number(a.key === IPV6_FORWARDING) - Number(b.key === IPV6_FORWARDING));
      for (const change of inOrder) {
        const hindrance = change.key === IPV6_FORWARDING ? routesLost(await advertisements()) : null;
        if (change.op === "delete") outcomes.push({ key: change.key, ok: true });
        else if (hindrance !== null) outcomes.push({ key: change.key, ok: false, error: hindrance });
        else outcomes.push(await set(change.desired.spec));
      }
      return outcomes;
    },
  };
}

const IPV6_FORWARDING = "net.ipv6.conf.all.forwarding";

/**
 * The moment it forwards, the kernel drops each default route that a router told it of, but for interfaces with
 * accept_ra=2 (rt6_purge_dflt_routers of net/ipv6/route.c), and listens there no more.
 */
function routesLost(advertisements: readonly AdvertisementFacts[]): ReconcileError | null {
  const names = advertisements.flatMap(({ interface: name, acceptRa }) => (acceptRa === 1 ? [name] : []));
  if (names.length === 0) return null;
  const commands = names.map((name) => `sysctl -w net.ipv6.conf.${name}.accept_ra=2`).join("; ");
  const message = `with ${IPV6_FORWARDING}=1 the IPv6 default route of ${names.join(", ")} would end. Run: ${commands}; or name it under wan.interfaces`;
  return { code: "ROUTE_LOST", message, disposition: "transient" };
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
