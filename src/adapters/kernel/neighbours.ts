import { z } from "zod";
import type { Clock } from "../../lib/clock.ts";
import { canonicalIpv6, isIpv6 } from "../../lib/ipv6.ts";
import { ipJson } from "./ip-json.ts";

const neighbourSchema = z.object({ dst: z.string(), dev: z.string(), lladdr: z.string().optional() });

/** A program is started for each look. */
const LOOK_EVERY_MS = 1000;
/** Who is not among those of the last look may have come since. */
const MISS_EVERY_MS = 200;

type Neighbour = z.infer<typeof neighbourSchema>;

/** What the kernel knows of the stations on its links, by their addresses. */
export class Neighbours {
  readonly #clock: Clock;
  readonly #read: () => Promise<unknown>;
  #looked: { readonly at: number; readonly known: Promise<readonly Neighbour[]> } | null = null;

  /** `read`: as `ip -json neighbour show` prints it. */
  constructor(clock: Clock, read: () => Promise<unknown> = () => ipJson(["neighbour", "show"])) {
    this.#clock = clock;
    this.#read = read;
  }

  /**
   * The one IPv4 address of the station that has an IPv6 address; null: there is none, or several, as behind a repeater
   * that puts its own station in the place of others.
   */
  async ipv4Of(served: string, address: string): Promise<string | null> {
    const station = (known: readonly Neighbour[]): string | undefined =>
      known.find(({ dst, dev }) => dev === served && canonicalIpv6(dst) === address)?.lladdr;
    let known = await this.#look(LOOK_EVERY_MS);
    if (station(known) === undefined) known = await this.#look(MISS_EVERY_MS);
    const wanted = station(known);
    if (wanted === undefined) return null;
    const all = known.filter(({ dst, dev, lladdr }) => dev === served && lladdr === wanted && !isIpv6(dst));
    const addresses = [...new Set(all.map(({ dst }) => dst))];
    return addresses.length === 1 ? (addresses[0] ?? null) : null;
  }

  #look(everyMs: number): Promise<readonly Neighbour[]> {
    const now = this.#clock.now();
    if (this.#looked !== null && now - this.#looked.at < everyMs) return this.#looked.known;
    // Not to know is an answer: nothing is promised on its grounds.
    const known = this.#read().then(
      (listed) => z.array(neighbourSchema).catch([]).parse(listed),
      () => [],
    );
    this.#looked = { at: now, known };
    return known;
  }
}

/** As `ipv4Of` of neighbours that are remembered for a moment. */
export function neighbourLookup(clock: Clock): Neighbours["ipv4Of"] {
  const neighbours = new Neighbours(clock);
  return (served, address) => neighbours.ipv4Of(served, address);
}
