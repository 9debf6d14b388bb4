import type { Clock } from "../../lib/clock.ts";
import type { DropLog } from "../../lib/drop-log.ts";
import { parseIpv4, parseIpv4Prefix, isNetworkEnd } from "../../lib/ip.ts";
import { RateLimit } from "../../lib/rate-limit.ts";
import { isOnLink, type Listener } from "../../lib/served-address.ts";
import { UpnpDecodeError } from "../../protocols/upnp/error.ts";
import { type Advertised, decodeSsdp, encodeSearchResponse, type SsdpMessage } from "../../protocols/upnp/ssdp.ts";
import { AnswerAllowance } from "./answer-allowance.ts";
import { find, type Version } from "./documents.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Identity } from "./identity.ts";
import type { SsdpSockets } from "./ssdp-sockets.ts";

/** Of one source, and of all together, whoever they say they are. */
const SEARCHES_PER_SECOND = 20;
const ALL_SEARCHES_PER_SECOND = 400;
/** Between the messages of one answer: a control point's buffer is small. */
const GAP_MS = 10;

export interface Link extends Listener {
  readonly sockets: SsdpSockets;
}

export interface SearchesOptions {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly drops: DropLog;
  readonly links: () => Iterable<Link>;
  /** What is said of the gateway at an address now; null while it promises nothing. */
  readonly advertised: (address: string, version: Version) => Advertised | null;
}

/** Answers searches, at once: the spread that MX asks for would cost those who wait a quarter of a second (SSDP-11). */
export class Searches {
  readonly #options: SearchesOptions;
  readonly #rate = new RateLimit();
  readonly #allowance = new AnswerAllowance();

  constructor(options: SearchesOptions) {
    this.#options = options;
  }

  receive(link: Link, bytes: Uint8Array, source: Endpoint, how: "multicast" | "unicast"): void {
    const message = read(bytes);
    // Other devices of the link announce themselves, and search for each other; that is none of our business.
    if (message?.kind !== "search") return;
    const { clock, drops, identity, links, advertised } = this.#options;
    const now = clock.now();
    const drop = (why: string): void => drops.add({ interface: link.interface, from: source.address, why });
    if (source.port === 0) return drop("source port 0 cannot be answered");
    if (!isOnLink(links(), link.interface, source.address)) return drop("the source is not on this link");
    // Where an interface has several addresses, each hears the group; the one in the source's network answers.
    if (!isNeighbour(link, source.address)) return;
    if (how === "multicast" && (message.maxWait ?? 0) < 1) return drop("a multicast search without MX");
    const { targets, version } = find(identity, message.target);
    const device = advertised(link.address, version);
    if (targets.length === 0 || device === null) return;
    const key = `${link.interface} ${source.address}`;
    if (!this.#rate.take(key, SEARCHES_PER_SECOND, now))
      return drop(`more than ${SEARCHES_PER_SECOND} searches a second`);
    if (!this.#rate.take("", ALL_SEARCHES_PER_SECOND, now)) return drop("too many searches of all sources");
    const answers = targets.map((target) => encodeSearchResponse(target, device));
    const count = this.#allowance.take(key, bytes.length, answers, now);
    if (count === 0) return drop("it has had its answers");
    this.#send(link, answers.slice(0, count), source, now);
  }

  #send({ sockets }: Link, answers: readonly string[], to: Endpoint, now: number): void {
    const [first = "", ...others] = answers;
    sockets.send(first, to);
    for (const [index, answer] of others.entries())
      this.#options.clock.setAlarm(now + (index + 1) * GAP_MS, () => sockets.send(answer, to));
  }
}

function read(bytes: Uint8Array): SsdpMessage | null {
  try {
    return decodeSsdp(bytes);
  } catch (cause) {
    if (cause instanceof UpnpDecodeError) return null;
    throw cause;
  }
}

/** Whether an address is a host of the link's own network; its broadcast address would reach all of them. */
function isNeighbour({ interface: served, address, subnet, ifindex }: Listener, source: string): boolean {
  const prefix = parseIpv4Prefix(subnet);
  if (prefix === null || isNetworkEnd(prefix, parseIpv4(source) ?? 0)) return false;
  return isOnLink([{ interface: served, address, subnet, ifindex }], served, source);
}
