import { PortreeveError } from "../../lib/errors.ts";
import type { FilterChain } from "../../lib/packet-filter.ts";
import { nftErrorCode, nftErrorLine } from "../../protocols/nftables-json/error-code.ts";
import { decodeFilterChains } from "../../protocols/nftables-json/filter-chain.ts";
import type { Netfilter } from "./netfilter.ts";
import type { Nft } from "./nft-library.ts";

export interface ChainName {
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

/** What others filter, as JSON. Chain by chain, as nft 1.0.6 lists tables from memory it has freed. */
export function listChains(nft: Nft, netfilter: Pick<Netfilter, "dormantTables">): FilterChain[] {
  const dormant = netfilter.dormantTables();
  const result = nft.listJson("list chains");
  if (!result.ok) throw failure(result.error);
  return decodeFilterChains(result.output).filter(({ family, table }) => !dormant.has(`${family} ${table}`));
}

/** Asked for in JSON: others' chains may have names that nft's language has no way to write. */
export function listChain(nft: Nft, { family, table, name }: ChainName): FilterChain | null {
  const result = nft.listJson(JSON.stringify({ nftables: [{ list: { chain: { family, table, name } } }] }));
  if (result.ok) return decodeFilterChains(result.output)[0] ?? null;
  if (nftErrorCode(result.error) === "ENOENT") return null;
  throw failure(result.error);
}

function failure(text: string): PortreeveError {
  return new PortreeveError("UNAVAILABLE", `the firewall could not be listed: ${nftErrorLine(text)}`, "transient");
}
