import type { Clock } from "../../lib/clock.ts";
import {
  type Advertised,
  encodeAlive,
  encodeByebye,
  encodeUpdate,
  SSDP_GROUP,
  SSDP_PORT,
  type Target,
} from "../../protocols/upnp/ssdp.ts";
import type { Link } from "./searches.ts";

const EVERYONE = { address: SSDP_GROUP, port: SSDP_PORT };
/** Datagrams get lost, so what is new is said twice. */
const SECOND_MS = 250;
/** Well before half of the 1,800 s that an announcement holds, and not always at the same distance (SSDP-04). */
const REPEAT_MS = 900_000;
const REPEAT_SPREAD_MS = 64_000;

export interface AdvertiserOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly targets: readonly Target[];
  /** What is said at an address now; null while the gateway promises nothing. */
  readonly advertised: (address: string) => Advertised | null;
}

/** Announces the gateway on one link: UPnP Device Architecture 1.1 §1.2. */
export class Advertiser {
  readonly #link: Link;
  readonly #options: AdvertiserOptions;
  #alarm: { cancel(): void } | null = null;
  #last: Advertised | null = null;

  constructor(link: Link, options: AdvertiserOptions) {
    this.#link = link;
    this.#options = options;
  }

  /**
   * Says goodbye first: WANIPConnection:2 §2.3.23 has that tell control points that know no BOOTID of a new start, and
   * that what they knew of mappings is old.
   */
  start(): void {
    this.#byebye(this.#options.advertised(this.#link.address));
    this.#alive(SECOND_MS);
  }

  /** The gateway is reached on one more link, and so its BOOTID is about to be `next`. */
  update(next: number): void {
    const last = this.#last;
    if (last !== null) this.#sendAll((target) => encodeUpdate(target, last, next));
  }

  /** What control points know ends here. */
  stop(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    this.#byebye(this.#last);
    this.#last = null;
  }

  #byebye(device: Advertised | null): void {
    if (device !== null) this.#sendAll((target) => encodeByebye(target, device));
  }

  /** Again after `againMs`, and from then on every quarter of an hour. */
  #alive(againMs: number): void {
    const { clock, random, advertised } = this.#options;
    const device = advertised(this.#link.address);
    if (device !== null) this.#sendAll((target) => encodeAlive(target, device));
    this.#last = device;
    this.#alarm = clock.setAlarm(clock.now() + againMs, () => this.#alive(REPEAT_MS - random() * REPEAT_SPREAD_MS));
  }

  #sendAll(encode: (target: Target) => string): void {
    for (const target of this.#options.targets) this.#link.sockets.send(encode(target), EVERYONE);
  }
}
