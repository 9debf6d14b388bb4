import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./lab.ts";
import type { Host } from "./topology.mjs";

/** It reads 200 files of services and loads its rules. */
const STARTS_WITHIN_MS = 20_000;

/** One for root alone; without polkit on it firewalld goes by the caller's user. */
const bus = (
  socket: string,
): string => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=${socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="root"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`;

/**
 * The real firewalld of the machine on the gateway, with a system bus, a configuration and a /run of its own. It and its
 * bus end with the gateway's namespace. As on a fresh Debian, no zone names an interface: all are in the default one.
 */
export class Firewalld {
  readonly #folder = mkdtempSync(join(tmpdir(), "portreeve-firewalld-"));
  readonly #socket = join(this.#folder, "bus");

  async start(gateway: Host): Promise<void> {
    cpSync("/etc/firewalld", join(this.#folder, "etc"), { recursive: true });
    writeFileSync(join(this.#folder, "bus.conf"), bus(this.#socket));
    const daemons = { stdio: "ignore", env: this.#env } as const;
    gateway.spawn(
      ["dbus-daemon", `--config-file=${join(this.#folder, "bus.conf")}`, "--nofork", "--nopidfile"],
      daemons,
    );
    const files = `--system-config "$0/etc" --log-file "$0/log"`;
    const program = `until [ -S "$0/bus" ]; do sleep 0.02; done; mount -t tmpfs tmpfs /run && exec firewalld --nofork --nopid ${files}`;
    gateway.spawn(["sh", "-c", program, this.#folder], daemons);
    await eventually(() => this.exec(gateway, "firewall-cmd", "--state"), STARTS_WITHIN_MS);
  }

  /** A program that sees this firewalld. */
  async exec(gateway: Host, ...command: string[]): Promise<string> {
    return await gateway.exec("env", `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${this.#socket}`, ...command);
  }

  /** The LAN in or out of a zone of its own; public has the WAN. */
  async zone(gateway: Host, change: "--add-interface" | "--remove-interface"): Promise<void> {
    await this.exec(gateway, "firewall-cmd", "--permanent", "--zone=work", `${change}=lan0`);
    await this.exec(gateway, "firewall-cmd", "--reload");
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${this.#socket}` };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
