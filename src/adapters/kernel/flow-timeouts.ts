import { readFile } from "node:fs/promises";

/** Seconds that the kernel remembers a flow for which nothing is said; null: it does not say. */
export async function readFlowTimeout(transport: "tcp" | "udp"): Promise<number | null> {
  const name = transport === "tcp" ? "tcp_timeout_established" : "udp_timeout";
  try {
    const seconds = Number(await readFile(`/proc/sys/net/netfilter/nf_conntrack_${name}`, "utf8"));
    return Number.isInteger(seconds) && seconds > 0 ? seconds : null;
  } catch {
    return null;
  }
}
