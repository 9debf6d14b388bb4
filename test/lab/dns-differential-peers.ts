import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DENIED, ZONE } from "./dns-differential-exchanges.ts";
import type { SharedKey } from "./dns-differential-signing.ts";
import type { Host } from "./topology.mjs";

export interface Peer {
  readonly address: string;
  close(): Promise<void>;
}

/** The zone as ours is before anything is put into it, the address of whoever answers included. */
const zoneText = (origin: string, server: string): string => `$ORIGIN ${origin}.
@ 60 IN SOA ns hostmaster 1 1200 180 1209600 5
@ 60 IN NS ns
ns 60 IN A ${server}
`;

const namedConfig = (folder: string, host: Host, { keyName, secret }: SharedKey): string => `
key "${keyName}" { algorithm hmac-sha256; secret "${secret}"; };
options {
  directory "${folder}";
  pid-file "${folder}/named.pid";
  session-keyfile "${folder}/session.key";
  listen-on port 53 { ${host.address}; };
  listen-on-v6 { none; };
  recursion no;
  minimal-responses yes;
  check-names primary ignore;
  dnssec-validation no;
  notify no;
  empty-zones-enable no;
  allow-transfer { key "${keyName}"; };
};
controls { };
zone "${ZONE}" { type primary; file "zone"; allow-update { key "${keyName}"; }; };
zone "${DENIED}" { type primary; file "denied"; };
`;

const knotConfig = (folder: string, host: Host, { keyName, secret }: SharedKey): string => `
server:
  rundir: ${folder}
  listen: ${host.address}@53
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  automatic-acl: off
log:
  - target: stderr
    any: error
key:
  - id: ${keyName}
    algorithm: hmac-sha256
    secret: ${secret}
acl:
  - id: updates
    key: ${keyName}
    action: [update, transfer]
database:
  storage: ${folder}
zone:
  - domain: ${ZONE}
    storage: ${folder}
    file: zone
    acl: updates
    zonefile-sync: -1
    journal-content: none
  - domain: ${DENIED}
    storage: ${folder}
    file: denied
`;

export const startNamed = (host: Host, server: string, key: SharedKey): Peer =>
  start(host, server, namedConfig, key, (file) => ["named", "-g", "-n", "1", "-U", "1", "-c", file]);
export const startKnot = (host: Host, server: string, key: SharedKey): Peer =>
  start(host, server, knotConfig, key, (file) => ["knotd", "-c", file]);

function start(
  host: Host,
  server: string,
  config: (folder: string, host: Host, key: SharedKey) => string,
  key: SharedKey,
  command: (file: string) => string[],
): Peer {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-peer-"));
  writeFileSync(join(folder, "zone"), zoneText(ZONE, server));
  writeFileSync(join(folder, "denied"), zoneText(DENIED, server));
  const file = join(folder, "conf");
  writeFileSync(file, config(folder, host, key), { mode: 0o600 });
  const child = host.spawn(command(file), { stdio: "ignore" });
  return {
    address: host.address,
    close: async () => {
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
