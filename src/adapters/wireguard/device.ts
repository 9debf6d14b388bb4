import { z } from "zod";
import { formatWgQuick, type WgQuickInterface, type WgQuickPeer } from "../../protocols/wireguard-config/config.ts";
import { parseDump, type WireguardDump } from "./dump.ts";
import { ProgramError, type Run, type RunOptions } from "./program.ts";
import { holderOf } from "./userspace.ts";

const linkSchema = z.object({
  ifname: z.string(),
  ifindex: z.number(),
  flags: z.array(z.string()),
  ifalias: z.string().optional(),
});

/** An interface of this network namespace. */
export interface DeviceLink {
  readonly name: string;
  readonly index: number;
  readonly up: boolean;
  readonly alias: string | null;
}

export interface DeviceSettings {
  readonly interface?: Partial<WgQuickInterface>;
  readonly peers?: readonly (Partial<WgQuickPeer> & Pick<WgQuickPeer, "publicKey">)[];
}

/** Of the public keys that one command line takes: far below what a command line may be long. */
const REMOVALS_AT_ONCE = 512;

/**
 * Leaves all but the standard streams behind (we hold files without O_CLOEXEC, and this program outlives us), and our
 * session: neither Ctrl-C nor our end is meant for it. Comes back when the interface is there.
 */
const START_USERSPACE =
  'for fd in /proc/$$/fd/*; do fd=${fd##*/}; ((fd > 2)) && exec {fd}>&-; done; exec setsid --wait wireguard-go "$0"';

/** With a socket for stdin, as Node makes them, bash takes itself for a remote shell and would run root's ~/.bashrc. */
const NO_STARTUP_FILE = "--norc";

/** `wg` opens its file by name, which a socket, as Node makes them for stdin, cannot be. */
const ADD_CONFIGURATION = 'cat | wg addconf "$0" /dev/stdin';

/** WireGuard interfaces, whoever serves them: the commands of ip(8) and wg(8). Keys go in by stdin, never by a command line. */
export class WireguardDevices {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async links(signal?: AbortSignal): Promise<readonly DeviceLink[]> {
    const text = await this.#call("ip", ["-json", "link", "show"], signal);
    const links = z.array(linkSchema).parse(text.trim() === "" ? [] : JSON.parse(text));
    return links.map(({ ifname, ifindex, flags, ifalias }) => ({
      name: ifname,
      index: ifindex,
      up: flags.includes("UP"),
      alias: ifalias ?? null,
    }));
  }

  async dump(name: string, signal?: AbortSignal): Promise<WireguardDump> {
    return parseDump(await this.#call("wg", ["show", name, "dump"], signal));
  }

  /** By the kernel, else by wireguard-go. An interface of that name that is there already is EEXIST. */
  async create(name: string, signal?: AbortSignal): Promise<void> {
    try {
      await this.#call("ip", ["link", "add", name, "type", "wireguard"], signal);
    } catch (error) {
      if (!(error instanceof ProgramError) || error.code !== "EOPNOTSUPP") throw error;
      await this.#call("bash", [NO_STARTUP_FILE, "-c", START_USERSPACE, name], signal, { blame: "wireguard-go" });
    }
  }

  async mark(name: string, alias: string, signal?: AbortSignal): Promise<void> {
    await this.#call("ip", ["link", "set", "dev", name, "alias", alias], signal);
  }

  async bringUp(name: string, signal?: AbortSignal): Promise<void> {
    await this.#call("ip", ["link", "set", "dev", name, "up"], signal);
  }

  /** Sets what is named and leaves all else: a peer that is there already is changed in place. */
  async add(name: string, settings: DeviceSettings, signal?: AbortSignal): Promise<void> {
    const options = { blame: "wg", input: formatWgQuick(settings) };
    await this.#call("bash", [NO_STARTUP_FILE, "-o", "pipefail", "-c", ADD_CONFIGURATION, name], signal, options);
  }

  async removePeers(name: string, publicKeys: readonly string[], signal?: AbortSignal): Promise<void> {
    for (let start = 0; start < publicKeys.length; start += REMOVALS_AT_ONCE) {
      const removals = publicKeys.slice(start, start + REMOVALS_AT_ONCE).flatMap((key) => ["peer", key, "remove"]);
      await this.#call("wg", ["set", name, ...removals], signal);
    }
  }

  /** Resolves when nothing of it is left, the program that served it neither: its socket would be in the next one's way. */
  async remove(name: string, signal?: AbortSignal): Promise<void> {
    const holder = await holderOf(name);
    await this.#call("ip", ["link", "delete", "dev", name], signal).catch((error: unknown) => {
      if (!(error instanceof ProgramError) || error.code !== "ENODEV") throw error;
    });
    await holder?.end();
  }

  async #call(
    program: string,
    args: readonly string[],
    signal?: AbortSignal,
    options: Omit<RunOptions, "signal"> = {},
  ): Promise<string> {
    return await this.#run(program, args, signal === undefined ? options : { ...options, signal });
  }
}
