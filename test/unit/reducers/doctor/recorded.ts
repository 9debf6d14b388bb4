import { readFileSync } from "node:fs";
import type { FilterChain } from "../../../../src/lib/packet-filter.ts";
import { decodeIptablesSave } from "../../../../src/protocols/iptables-save/chains.ts";
import { decodeFilterChains } from "../../../../src/protocols/nftables-json/filter-chain.ts";

interface Recording {
  /** The answers to `nft -j list chain …` for each chain, put together. */
  readonly listing: unknown;
  readonly iptablesSave: string;
}

/**
 * A ruleset as a real program wrote it: ufw 0.36.2 after `ufw enable`; firewalld 1.3.3 with lan0 in zone internal and wan0
 * in public; what dockerd 28 writes by iptables-nft 1.8.9, with a published port; a table for nftables.service.
 */
export function recorded(name: "ufw" | "docker" | "firewalld" | "nftables-service"): FilterChain[] {
  const text = readFileSync(new URL(`rulesets/${name}.json`, import.meta.url), "utf8");
  const { listing, iptablesSave } = JSON.parse(text) as Recording;
  const native = decodeFilterChains(JSON.stringify(listing));
  if (iptablesSave === "") return native;
  const saved = decodeIptablesSave(iptablesSave, "ip", "iptables-nft");
  const tables = new Set(saved.map(({ table }) => table));
  return [...native.filter(({ family, table }) => family !== "ip" || !tables.has(table)), ...saved];
}
