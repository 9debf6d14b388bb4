import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type CliResult, type Gateway, PROGRAM } from "./gateway.mjs";
import type { Host } from "./topology.mjs";

const run = promisify(execFile);

/** As dockerd 28 writes them by iptables-nft, with one published port. */
const DOCKER = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
COMMIT
`;

export async function dockerLike(gateway: Host): Promise<void> {
  const restoring = gateway.spawn(["iptables-nft-restore"], { stdio: ["pipe", "ignore", "inherit"] });
  const code = new Promise((resolve) => restoring.once("exit", resolve));
  restoring.stdin?.end(DOCKER);
  if ((await code) !== 0) throw new Error("iptables-nft-restore refused Docker's rules");
}

/** As an admin's /etc/nftables.conf has it: input and forward dropped but for what is named. */
export async function adminTable(gateway: Host): Promise<void> {
  await gateway.exec(
    "nft",
    `table inet filter {
      chain input {
        type filter hook input priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iif lo accept
        meta l4proto { icmp, ipv6-icmp } accept
        udp dport 53 accept
      }
      chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
      }
    }`,
  );
}

/** As a server's owner types it: no connection but by SSH, and no rule for what answers the machine's own. */
export async function inputDropped(gateway: Host): Promise<void> {
  for (const rule of ["-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT", "-P INPUT DROP"]) {
    await gateway.exec("iptables-nft", ...rule.split(" "));
  }
}

/**
 * The real ufw of the machine on the gateway, with /etc/ufw and /run of its own: whatever it writes is gone with the
 * folder, and its rules are in the gateway's namespace.
 */
export class Ufw {
  readonly #folder = mkdtempSync(join(tmpdir(), "portreeve-ufw-"));

  async enable(gateway: Host): Promise<void> {
    cpSync("/etc/ufw", this.#folder, { recursive: true, preserveTimestamps: true });
    await this.exec(gateway, "ufw", "--force", "enable");
    // What it loads the second time has two rules for IPv6 more.
    await this.exec(gateway, "ufw", "reload");
  }

  /** A program that sees this ufw. */
  async exec(gateway: Host, ...command: string[]): Promise<string> {
    const mounts = `mount --bind "$0" /etc/ufw && mount -t tmpfs tmpfs /run && exec "$@"`;
    return await gateway.exec("sh", "-c", mounts, this.#folder, ...command);
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** `portreeve ARGS` on the gateway itself, where it may change what others filter; `by` runs a program there. */
export async function cliOn(
  gateway: Pick<Gateway, "host" | "socket">,
  args: readonly string[],
  by: (...command: string[]) => Promise<string> = (program = "", ...rest) => gateway.host.exec(program, ...rest),
): Promise<CliResult> {
  return await by(process.execPath, PROGRAM, "--socket", gateway.socket, ...args).then(
    (stdout) => ({ code: 0, stdout, stderr: "" }),
    (error: { code?: unknown; stdout?: string; stderr?: string }) => {
      if (typeof error.code !== "number") throw error;
      return { code: error.code, stdout: error.stdout ?? "", stderr: error.stderr ?? "" };
    },
  );
}

/** Rules of the machine itself: no test may change them. */
export async function ownRuleset(): Promise<string> {
  return (await run("nft", ["-s", "list", "ruleset"])).stdout;
}
