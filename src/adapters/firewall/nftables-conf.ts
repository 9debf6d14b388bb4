import { readFile } from "node:fs/promises";

/** What nftables.service loads (Debian's unit). */
const NFTABLES_CONF = "/etc/nftables.conf";

/** "family table" of the tables in it. Those of files it includes are not found, and are then no one's. */
export async function configuredTables(): Promise<string[]> {
  const text = await readFile(NFTABLES_CONF, "utf8").catch(() => "");
  return [...text.matchAll(/^\s*(?:add\s+)?table\s+(?:(ip|ip6|inet)\s+)?([\w.-]+)/gm)].map(
    ([, family = "ip", name]) => `${family} ${name}`,
  );
}
