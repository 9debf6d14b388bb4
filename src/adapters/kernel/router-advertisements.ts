import { readFile } from "node:fs/promises";
import type { AdvertisementFacts } from "../../reducers/doctor/machine.ts";

/** Interfaces with an IPv6 default route that the kernel keeps by router advertisements. */
export async function readAdvertisements(): Promise<AdvertisementFacts[]> {
  const found: AdvertisementFacts[] = [];
  for (const { interface: name, learnt } of defaultRoutes(await readIpv6Routes())) {
    if (!learnt || found.some((each) => each.interface === name)) continue;
    const value = async (parameter: string): Promise<number> =>
      Number(await readFile(`/proc/sys/net/ipv6/conf/${name}/${parameter}`, "utf8").catch(() => "0"));
    found.push({ interface: name, forwarding: (await value("forwarding")) > 0, acceptRa: await value("accept_ra") });
  }
  return found;
}

/** Whether the machine has any way out by IPv6. */
export async function hasIpv6Default(): Promise<boolean> {
  return defaultRoutes(await readIpv6Routes()).length > 0;
}

const readIpv6Routes = (): Promise<string> => readFile("/proc/net/ipv6_route", "utf8").catch(() => "");

/** include/uapi/linux/ipv6_route.h: learnt from a router's advertisement by the kernel itself. */
const RTF_ADDRCONF = 0x00040000;
/** include/uapi/linux/route.h: leads nowhere. */
const RTF_REJECT = 0x0200;

/** Destination, its length, source, its length, next hop, metric, counters, flags, interface: net/ipv6/route.c. */
export function defaultRoutes(text: string): { interface: string; learnt: boolean }[] {
  return text.split("\n").flatMap((line) => {
    const [destination = "", length, , , , , , , flags = "0", name] = line.trim().split(/\s+/);
    const bits = Number.parseInt(flags, 16);
    const leads = /^0+$/.test(destination) && length === "00" && (bits & RTF_REJECT) === 0;
    return leads && name !== undefined ? [{ interface: name, learnt: (bits & RTF_ADDRCONF) !== 0 }] : [];
  });
}
