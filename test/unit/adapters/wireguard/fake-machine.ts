import { publicKeyOf } from "../../../../src/adapters/wireguard/keys.ts";
import { ProgramError, type Run } from "../../../../src/adapters/wireguard/program.ts";
import { Secret } from "../../../../src/events/secret.ts";
import { parseWgQuick } from "../../../../src/protocols/wireguard-config/parse.ts";

const NO_KEY = Buffer.alloc(32).toString("base64");

interface FakePeer {
  presharedKey: string | null;
  allowedIps: string[];
  endpoint: string | null;
  persistentKeepalive: number;
  /** Handshakes that were begun towards it. */
  greetings: number;
}

interface FakeDevice {
  privateKey: string | null;
  listenPort: number;
  readonly peers: Map<string, FakePeer>;
}

interface FakeLink {
  readonly index: number;
  up: boolean;
  alias: string | null;
  /** Null: it is of another kind. */
  readonly device: FakeDevice | null;
}

/**
 * ip(8), wg(8) and wireguard-go over an imagined machine that keeps WireGuard's own rules: an allowed address has one
 * peer, a preshared key of zeros is none, our own public key is no peer, an unknown interface is an error.
 */
export class FakeMachine {
  readonly links = new Map<string, FakeLink>();
  /** Program and arguments of each call, as `ps` would show them. */
  readonly calls: string[] = [];
  kernelHasWireguard = true;
  /** Codes that the next calls of these fail with, by the start of the call. */
  readonly faults = new Map<string, string>();
  #nextIndex = 1;

  readonly run: Run = async (program, args, { input = "", signal } = {}) => {
    signal?.throwIfAborted();
    const call = [program, ...args].join(" ");
    this.calls.push(call);
    for (const [start, code] of this.faults) {
      if (!call.startsWith(start)) continue;
      this.faults.delete(start);
      throw new ProgramError(program, code);
    }
    await Promise.resolve();
    signal?.throwIfAborted();
    return this.#execute(program, args, input);
  };

  add(name: string, kind: "wireguard" | "bridge"): void {
    if (this.links.has(name)) throw new ProgramError("ip", "EEXIST");
    const device = kind === "wireguard" ? { privateKey: null, listenPort: 0, peers: new Map() } : null;
    this.links.set(name, { index: this.#nextIndex, up: false, alias: null, device });
    this.#nextIndex += 1;
  }

  device(name: string): FakeDevice {
    const device = this.#link(name).device;
    if (device === null) throw new ProgramError("wg", "EOPNOTSUPP");
    return device;
  }

  #link(name: string): FakeLink {
    const link = this.links.get(name);
    if (link === undefined) throw new ProgramError("ip", "ENODEV");
    return link;
  }

  #execute(program: string, args: readonly string[], input: string): string {
    const [first = "", second = "", third = "", fourth = "", fifth = ""] = args;
    if (program === "ip" && first === "-json") return this.#listing();
    if (program === "ip" && second === "add") {
      if (!this.kernelHasWireguard) throw new ProgramError("ip", "EOPNOTSUPP");
      this.add(third, "wireguard");
    } else if (program === "ip" && second === "delete") {
      this.#link(fourth);
      this.links.delete(fourth);
    } else if (program === "ip" && fifth === "alias") this.#link(fourth).alias = args[5] ?? null;
    else if (program === "ip" && fifth === "up") this.#link(fourth).up = true;
    else if (program === "wg" && first === "show") return this.#dump(second);
    else if (program === "wg" && first === "set") {
      for (let at = 2; at < args.length; at += 3) this.device(second).peers.delete(args[at + 1] ?? "");
    } else if (program === "bash" && second === "-c") this.add(args.at(-1) ?? "", "wireguard");
    else if (program === "bash") this.#configure(args.at(-1) ?? "", input);
    else throw new Error(`the fake machine does not know: ${program} ${args.join(" ")}`);
    return "";
  }

  #listing(): string {
    return JSON.stringify(
      [...this.links].map(([ifname, { index, up, alias }]) => ({
        ifname,
        ifindex: index,
        flags: up ? ["UP"] : [],
        ...(alias === null ? {} : { ifalias: alias }),
      })),
    );
  }

  #publicKey({ privateKey }: FakeDevice): string | null {
    return privateKey === null ? null : publicKeyOf(new Secret(privateKey));
  }

  #dump(name: string): string {
    const device = this.device(name);
    const shown = (value: string | null): string => value ?? "(none)";
    const head = [shown(device.privateKey), shown(this.#publicKey(device)), device.listenPort, "off"];
    const peers = [...device.peers].map(([publicKey, peer]) => [
      publicKey,
      shown(peer.presharedKey),
      shown(peer.endpoint),
      peer.allowedIps.join(",") || "(none)",
      0,
      0,
      0,
      peer.persistentKeepalive || "off",
    ]);
    return `${[head, ...peers].map((fields) => fields.join("\t")).join("\n")}\n`;
  }

  /** `wg addconf`. */
  #configure(name: string, text: string): void {
    const device = this.device(name);
    const { interface: own, peers } = parseWgQuick(text.startsWith("[Interface]") ? text : `[Interface]\n${text}`);
    device.privateKey = own.privateKey ?? device.privateKey;
    device.listenPort = own.listenPort ?? device.listenPort;
    for (const peer of peers) {
      if (peer.publicKey === this.#publicKey(device)) continue;
      const known = device.peers.get(peer.publicKey) ?? {
        presharedKey: null,
        allowedIps: [],
        endpoint: null,
        persistentKeepalive: 0,
        greetings: 0,
      };
      for (const other of device.peers.values()) {
        other.allowedIps = other.allowedIps.filter((each) => !peer.allowedIps.includes(each));
      }
      known.allowedIps = [...peer.allowedIps];
      known.endpoint = peer.endpoint ?? known.endpoint;
      if (peer.presharedKey !== null) known.presharedKey = peer.presharedKey === NO_KEY ? null : peer.presharedKey;
      const keepalive = peer.persistentKeepalive ?? known.persistentKeepalive;
      if (this.#link(name).up && known.persistentKeepalive === 0 && keepalive > 0) known.greetings += 1;
      known.persistentKeepalive = keepalive;
      device.peers.set(peer.publicKey, known);
    }
  }
}
