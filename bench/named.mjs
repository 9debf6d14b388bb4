// The peer for DNS: BIND as its package has it, with one thread for answers, as we have one.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} NamedOptions
 * @property {string} folder its own: zone, journal
 * @property {string} address
 * @property {number} port
 * @property {string} zone what it is primary for
 * @property {readonly string[]} [records] of the zone, in a zone file's form
 * @property {readonly { keyName: string; secret: string }[]} [keys] may update the zone; secrets in base64
 * @property {string} [forwarder] "ADDRESS port PORT": it has no zone and asks there
 */

/**
 * Answers when this resolves.
 * @param {import("../test/lab/topology.mjs").Host} host
 * @param {NamedOptions} options
 */
export async function startNamed(host, options) {
  const { folder, address, port, zone, records = [] } = options;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "zone"), [...zoneHead(zone, address), ...records, ""].join("\n"));
  const file = join(folder, "named.conf");
  writeFileSync(file, config(options), { mode: 0o600 });
  const child = host.spawn(["named", "-f", "-n", "1", "-U", "1", "-c", file], { stdio: "ignore" });
  const server = ["-s", address, "-p", String(port)];
  writeFileSync(join(folder, "ready"), `${zone} SOA\n`);
  for (let tries = 0; ; tries += 1) {
    const text = await host.exec("dnsperf", ...server, "-d", join(folder, "ready"), "-n", "1", "-t", "1");
    if (/NOERROR [1-9]/.test(text)) break;
    if (tries === 10 || child.exitCode !== null) throw new Error(`named does not answer on ${address} port ${port}`);
  }
  return {
    get pid() {
      return child.pid ?? 0;
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** @param {string} zone @param {string} address */
const zoneHead = (zone, address) => [
  `$ORIGIN ${zone}.`,
  "$TTL 300",
  "@ IN SOA ns hostmaster 1 1200 180 1209600 5",
  "@ IN NS ns",
  `ns IN A ${address}`,
];

/** @param {NamedOptions} options */
function config({ folder, address, port, zone, keys = [], forwarder }) {
  const forward =
    forwarder === undefined ? "recursion no;" : `recursion yes; forward only; forwarders { ${forwarder}; };`;
  const allowed = keys.map(({ keyName }) => `key "${keyName}";`).join(" ");
  const update = keys.length === 0 ? "" : `allow-update { ${allowed} };`;
  return `${keys.map(({ keyName, secret }) => `key "${keyName}" { algorithm hmac-sha256; secret "${secret}"; };`).join("\n")}
options {
  directory "${folder}"; pid-file none; session-keyfile "${folder}/session.key";
  listen-on port ${port} { ${address}; }; listen-on-v6 { none; };
  ${forward} dnssec-validation no; notify no; empty-zones-enable no; allow-query { any; };
};
controls { };
${forwarder === undefined ? `zone "${zone}" { type primary; file "zone"; ${update} };` : ""}
`;
}
