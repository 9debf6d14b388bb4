import { readFile } from "node:fs/promises";
import type { ControllerPort } from "../../controller/port.ts";

interface Listener {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
}

/** How soon a service that starts on the gateway is kept clear of. */
const POLL_MS = 2000;
/** As many as an event takes; of more, which only an attack or a mistake opens, the lowest ports are kept. */
const LISTENERS_MAX = 4096;
/** Socket states of /proc/net/{tcp,udp}: TCP_LISTEN, and TCP_CLOSE for an unconnected UDP socket. */
const LISTENING = { tcp: "0A", udp: "07" } as const;

/**
 * Local addresses, ports and inodes of listening sockets from one of /proc/net/{tcp,tcp6,udp,udp6}; `address` is the kernel's
 * hex, all zeros for a wildcard.
 */
export function parseProcNet(
  text: string,
  protocol: "tcp" | "udp",
): { address: string; port: number; inode: string }[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address, port] = (fields[1] ?? "").split(":");
      if (fields[3] !== LISTENING[protocol] || address === undefined || port === undefined) return [];
      return [{ address, port: Number.parseInt(port, 16), inode: fields[9] ?? "" }];
    });
}

/** An IPv4 address as /proc/net prints it: the 32-bit word in host order, little-endian on all machines we run on. */
export function procHex(address: string): string {
  const octets = address.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
  return octets.reverse().join("").toUpperCase();
}

type ReadText = (path: string) => Promise<string>;
const fromDisk: ReadText = (path) => readFile(path, "utf8");

/** Only a kernel without IPv6 lacks one of these files. Any other failure is not to pass for "nothing listens". */
async function readOr(read: ReadText, path: string, fallback: string): Promise<string> {
  return read(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return fallback;
    throw cause;
  });
}

/** A socket that others can send to. */
export interface ListeningSocket extends Listener {
  /** Stays the same as long as the socket is open. */
  readonly inode: string;
  /** Unconnected UDP on an ephemeral port: a client that waits for an answer, or a server that sits there (WireGuard's 51820). */
  readonly maybeClient: boolean;
}

/** What of this network namespace can be reached at one of the addresses: wildcard sockets and those bound to it. */
export async function readListeners(
  addresses: readonly string[],
  read: ReadText = fromDisk,
): Promise<ListeningSocket[]> {
  const [low = 32768, high = 60999] = (await readOr(read, "/proc/sys/net/ipv4/ip_local_port_range", "32768 60999"))
    .trim()
    .split(/\s+/)
    .map(Number);
  const own = new Set([
    ...addresses.map(procHex),
    ...addresses.map((address) => `0000000000000000FFFF0000${procHex(address)}`),
  ]);
  const found: ListeningSocket[] = [];
  for (const protocol of ["tcp", "udp"] as const) {
    for (const family of ["", "6"]) {
      const sockets = parseProcNet(await readOr(read, `/proc/net/${protocol}${family}`, ""), protocol);
      for (const { address, port, inode } of sockets) {
        if (!/^0+$/.test(address) && !own.has(address)) continue;
        found.push({ protocol, port, inode, maybeClient: protocol === "udp" && port >= low && port <= high });
      }
    }
  }
  return found;
}

/** Keeps the list of the gateway's own listeners current: they are protected ports, and source ports not to be borrowed. */
export class ListenerObserver {
  readonly #controller: ControllerPort;
  readonly #wanAddresses: () => readonly string[];
  readonly #readText: ReadText;
  #timer: NodeJS.Timeout | null = null;
  #count = 0;
  /** Inodes of the sockets of the last look; null before the first. */
  #seen: ReadonlySet<string> | null = null;

  /** `wanAddresses`: what packets to the WANs carry now. */
  constructor(controller: ControllerPort, wanAddresses: () => readonly string[], readText = fromDisk) {
    this.#controller = controller;
    this.#wanAddresses = wanAddresses;
    this.#readText = readText;
  }

  async start(): Promise<void> {
    await this.#read();
    this.#timer = setInterval(() => void this.#read(), POLL_MS);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #read(): Promise<void> {
    // No file can be opened, for example: what was known stands until the next look.
    const sockets = await readListeners(this.#wanAddresses(), this.#readText).catch(() => null);
    if (sockets === null) return;
    // Clients are gone by the next look; whoever is still there is a server. At the start the benefit of doubt is theirs.
    const known = this.#seen;
    this.#seen = new Set(sockets.map((socket) => socket.inode));
    const stay = sockets.filter(({ maybeClient, inode }) => !maybeClient || known === null || known.has(inode));
    const listeners = [
      ...new Map(stay.map(({ protocol, port }) => [`${protocol}|${port}`, { protocol, port }])).values(),
    ]
      .sort((a, b) => a.port - b.port)
      .slice(0, LISTENERS_MAX);
    this.#count += 1;
    const requestId = `listeners-${this.#count}`;
    await this.#controller.submit({ type: "listeners.observe", listeners, source: "kernel", requestId });
  }
}
