import type { FilterChain } from "../../lib/packet-filter.ts";

/** Who keeps the rules of a chain, as far as names tell: whoever rewrites them would take a foreign rule away again. */
export type Owner =
  | "ufw"
  | "docker"
  | "firewalld"
  | "libvirt"
  | "podman"
  | "tailscale"
  | "nftables.service"
  | "unknown";

const TITLES: Readonly<Record<Owner, string>> = {
  ufw: "ufw",
  docker: "Docker",
  firewalld: "firewalld",
  libvirt: "libvirt",
  podman: "Podman",
  tailscale: "Tailscale",
  "nftables.service": "nftables.service",
  unknown: "another firewall",
};

/** Prefixes of chains in tables that several programs share by iptables. */
const CHAINS: readonly (readonly [string, Owner])[] = [
  ["ufw-", "ufw"],
  ["ufw6-", "ufw"],
  ["DOCKER", "docker"],
  ["FWDI_", "firewalld"],
  ["IN_", "firewalld"],
  ["FORWARD_direct", "firewalld"],
  ["LIBVIRT_", "libvirt"],
  ["NETAVARK_", "podman"],
  ["ts-", "tailscale"],
];

const TABLES: Readonly<Record<string, Owner>> = {
  firewalld: "firewalld",
  "docker-bridges": "docker",
  libvirt_network: "libvirt",
  netavark: "podman",
};

/** `configured`: "family table" as /etc/nftables.conf has them. */
export function ownerOf(chain: FilterChain, chains: readonly FilterChain[], configured: readonly string[]): Owner {
  if (chain.writtenBy === "nft") {
    const known = TABLES[chain.table];
    if (known !== undefined) return known;
    return configured.includes(`${chain.family} ${chain.table}`) ? "nftables.service" : "unknown";
  }
  const named = ownerOfName(chain.name);
  if (named !== null) return named;
  // A policy of a built-in chain is set by whoever filters there: ufw before Docker, as ufw's exceptions last.
  const beside = chains.filter((each) => each.family === chain.family && each.table === chain.table);
  const owners = beside.map((each) => ownerOfName(each.name));
  for (const owner of ["ufw", "firewalld"] as const) if (owners.includes(owner)) return owner;
  return owners.includes("docker") && chain.base?.hook === "forward" ? "docker" : "unknown";
}

const ownerOfName = (name: string): Owner | null => CHAINS.find(([prefix]) => name.startsWith(prefix))?.[1] ?? null;

/** "ufw", "the nftables table inet filter". */
export function ownerText(owner: Owner, chain: FilterChain): string {
  if (owner === "nftables.service") return `nftables.service (table ${chain.family} ${chain.table})`;
  if (owner !== "unknown") return TITLES[owner];
  return chain.writtenBy === "nft" ? `the nftables table ${chain.family} ${chain.table}` : "iptables";
}
