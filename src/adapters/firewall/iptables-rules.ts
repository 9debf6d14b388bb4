import { readFile } from "node:fs/promises";
import type { FilterChain } from "../../lib/packet-filter.ts";
import { decodeIptablesSave } from "../../protocols/iptables-save/chains.ts";
import { runProgram } from "./program.ts";

export interface IptablesRules {
  readonly chains: readonly FilterChain[];
  /** Rules that are there and could not be read: sentences. */
  readonly unread: readonly string[];
}

/** Names of the tables that iptables keeps; in lower-case chains they are somebody else's of the same name. */
const TABLES: ReadonlySet<string> = new Set(["filter", "mangle", "raw", "security", "nat"]);

/**
 * Rules of iptables, read by its own programs: nft sees of an extension's match no more than its name. `native` is what
 * nft lists; what iptables says replaces it there.
 */
export async function withIptables(native: readonly FilterChain[]): Promise<IptablesRules> {
  const unread: string[] = [];
  const read = async (program: "iptables-nft" | "iptables-legacy"): Promise<FilterChain[] | null> => {
    try {
      return decodeIptablesSave(await runProgram([`${program}-save`]), "ip", program);
    } catch (cause) {
      unread.push(`rules of ${program} are there, and could not be read: ${(cause as Error).message}`);
      return null;
    }
  };
  const chains = [...native];
  const byNft = new Set(native.filter(isIptables).map(({ table }) => table));
  if (byNft.size > 0) {
    const saved = await read("iptables-nft");
    if (saved !== null) {
      const tables = new Set(saved.map(({ table }) => table));
      const others = chains.filter(({ family, table }) => family !== "ip" || !tables.has(table));
      chains.splice(0, chains.length, ...others, ...saved);
    }
  }
  if ((await legacyTables()) !== "") chains.push(...((await read("iptables-legacy")) ?? []));
  return { chains, unread };
}

const isIptables = ({ family, table, name, base }: FilterChain): boolean =>
  family === "ip" && TABLES.has(table) && base !== null && name === base.hook.toUpperCase();

/** Lists no table before one was used: its save program would load it, and with it iptables' hooks. */
export const legacyTables = async (): Promise<string> =>
  (await readFile("/proc/net/ip_tables_names", "utf8").catch(() => "")).trim();
