import { readFile } from "node:fs/promises";

/** What an interface can do, and has carried since it is there. */
export interface LinkCounters {
  readonly up: boolean;
  /** Bits a second; null where the driver does not know. */
  readonly bitsPerSecond: number | null;
  readonly sent: { readonly bytes: number; readonly packets: number };
  readonly received: { readonly bytes: number; readonly packets: number };
}

type ReadText = (path: string) => Promise<string>;
const fromDisk: ReadText = (path) => readFile(path, "utf8");

/** Of sysfs; null if there is no such interface. The names of interfaces are checked where they come in. */
export async function readLinkCounters(name: string, read: ReadText = fromDisk): Promise<LinkCounters | null> {
  const value = async (path: string): Promise<string | null> =>
    (await read(`/sys/class/net/${name}/${path}`).catch(() => null))?.trim() ?? null;
  const count = async (path: string): Promise<number> => Number(await value(`statistics/${path}`));
  const state = await value("operstate");
  if (state === null) return null;
  const megabits = Number(await value("speed"));
  return {
    // Interfaces without a carrier of their own, as tunnels and PPP, are "unknown".
    up: state === "up" || state === "unknown",
    bitsPerSecond: megabits > 0 ? megabits * 1_000_000 : null,
    sent: { bytes: await count("tx_bytes"), packets: await count("tx_packets") },
    received: { bytes: await count("rx_bytes"), packets: await count("rx_packets") },
  };
}
