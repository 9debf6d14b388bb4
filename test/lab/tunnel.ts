import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent } from "./agent.mjs";
import type { Gateway } from "./gateway.mjs";
import type { Host } from "./topology.mjs";

let made = 0;

/**
 * A name for a WireGuard interface that no other lab on this machine has: wireguard-go's sockets are files, and network
 * namespaces share those.
 */
export function tunnelName(): string {
  made += 1;
  return `w${process.pid.toString(36)}x${made}`;
}

/** A device somewhere in the internet, with nothing but the configuration that the gateway gave it. */
export class TunnelPeer {
  readonly agent: Agent;
  /** Its address in the tunnel. */
  readonly address: string;
  readonly #host: Host;
  readonly #folder: string;
  readonly #file: string;

  private constructor(host: Host, text: string) {
    this.#host = host;
    this.agent = new Agent(host);
    this.address = /^Address = ([\d.]+)/m.exec(text)?.[1] ?? "";
    this.#folder = mkdtempSync(join(tmpdir(), "portreeve-peer-"));
    this.#file = join(this.#folder, `${tunnelName()}.conf`);
    // With it wg-quick would change the resolver of the whole machine, whose file the namespaces share.
    writeFileSync(this.#file, text.replace(/^DNS = .*\n/m, ""), { mode: 0o600 });
  }

  /** `portreeve device config NAME` and `wg-quick up`, as a person would. */
  static async up(host: Host, gateway: Gateway, device: string, ...options: string[]): Promise<TunnelPeer> {
    const config = await gateway.cli("device", "config", device, ...options);
    if (config.code !== 0) throw new Error(`no configuration: ${config.stderr}`);
    const peer = new TunnelPeer(host, config.stdout);
    await host.exec("wg-quick", "up", peer.#file);
    return peer;
  }

  async down(): Promise<void> {
    this.agent.close();
    await this.#host.exec("wg-quick", "down", this.#file).catch(() => undefined);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
