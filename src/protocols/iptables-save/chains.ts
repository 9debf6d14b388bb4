import type { ChainBase, FilterChain, FilterProgram, FilterRule } from "../../lib/packet-filter.ts";
import { decodeRule, IptablesSaveError, words } from "./rule.ts";

/** Where iptables hooks its built-in chains: include/uapi/linux/netfilter_ipv4.h, nf_ip_hook_priorities. */
const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50 };
const HOOKS: ReadonlySet<string> = new Set(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);

/** What iptables-save prints (iptables-save(8)). Tables whose chains filter nothing are left out. */
export function decodeIptablesSave(text: string, family: "ip" | "ip6", writtenBy: FilterProgram): FilterChain[] {
  const chains = new Map<string, FilterChain & { readonly rules: FilterRule[] }>();
  let table: string | null = null;
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("*")) table = line.slice(1).trim();
    else if (line === "COMMIT") table = null;
    else if (table === null) throw new IptablesSaveError(`outside of a table: ${line.slice(0, 80)}`);
    else if (line.startsWith(":")) {
      const [name = "", policy = ""] = line.slice(1).split(" ");
      chains.set(`${table} ${name}`, {
        family,
        table,
        name,
        base: baseOf(table, name, policy),
        rules: [],
        writtenBy,
      });
    } else {
      const [append, name, ...rest] = words(line);
      const chain = chains.get(`${table} ${name}`);
      if (append !== "-A" || chain === undefined) throw new IptablesSaveError(`no rule: ${line.slice(0, 80)}`);
      chain.rules.push(decodeRule(rest));
    }
  }
  return [...chains.values()];
}

function baseOf(table: string, name: string, policy: string): ChainBase | null {
  if (!HOOKS.has(name)) return null;
  const type = table === "nat" ? "nat" : "filter";
  const priority = PRIORITIES[table] ?? 0;
  return { type, hook: name.toLowerCase(), priority, policy: policy === "DROP" ? "drop" : "accept" };
}
