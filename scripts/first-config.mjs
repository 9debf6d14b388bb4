// The configuration file that the first `npm run up` writes: everything at its default, and what to edit explained.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** @param {string} folder absolute */
export function firstConfig(folder) {
  return `# Portreeve, as started by \`npm run up\`. Every key is optional; \`bin/portreeve config schema\` lists them all.
# After an edit: \`bin/portreeve config check --config var/portreeve.yaml\`, then start again.

dataDir: ${JSON.stringify(join(folder, "data"))}          # the event log
masterKeyFile: ${JSON.stringify(join(folder, "master.key"))}  # seals secrets; kept outside dataDir on purpose

# Which interfaces face the internet. Empty: the one with the default route.
wan:
  interfaces: []

# Which segments may ask for ports. With none, nothing is served and nothing in the kernel is changed.
# This machine has:
${interfacesSeen()}
lan: []
#  - interface: lan0

# Private networks over WireGuard: \`bin/portreeve device add nas --kind server\` begins one. \`wireguard: null\`: none.
#wireguard:
#  listenPort: 51820
#  endpoint: auto         # host or address that devices are told to find this gateway at; auto: the WAN's address

api:
  listen: 127.0.0.1:8351   # null: the local socket only
`;
}

/** So that the names need not be looked up. */
function interfacesSeen() {
  try {
    /** @type {{ ifname: string; flags: string[]; addr_info: { family: string; local: string; prefixlen: number }[] }[]} */
    const links = JSON.parse(execFileSync("ip", ["-json", "address"], { encoding: "utf8" }));
    const route = execFileSync("ip", ["-4", "route", "show", "default"], { encoding: "utf8" });
    const wan = /\bdev (\S+)/.exec(route)?.[1];
    const lines = links
      .filter(({ flags }) => !flags.includes("LOOPBACK"))
      .map(({ ifname, addr_info }) => {
        const addresses = addr_info.filter(({ family }) => family === "inet").map((a) => `${a.local}/${a.prefixlen}`);
        return `#   ${ifname}  ${addresses.join(" ") || "no IPv4 address"}${ifname === wan ? "  (default route)" : ""}`;
      });
    return lines.length === 0 ? "#   no interface but loopback" : lines.join("\n");
  } catch {
    return "#   (ip is not installed)";
  }
}
