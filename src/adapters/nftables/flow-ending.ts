import { TLS_PORT } from "../../lib/proxy-ports.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import { wordsOf } from "./address-words.ts";
import type { Flow, FlowAddress } from "./conntrack-message.ts";
import type { ElementTarget } from "./element-commit.ts";
import { MARK_OURS, MARK_SEVERED } from "./marks.ts";
import type { ExternalPorts } from "./messages.ts";
import { NetlinkError } from "./netlink-socket.ts";

/** A flow that a pinhole let in is its own destination: nothing but whether it would be let in now is to be said. */
function judgePinhole(target: ElementTarget, flow: Flow): Verdict {
  if ((flow.mark & MARK_OURS) === 0) return "keep";
  const { netfilter, table, sets } = target;
  const { destination, protocol, destinationPort: port, source, sourcePort } = flow.original;
  if (typeof destination !== "string" || typeof source !== "string") return "keep";
  const [address, peer] = [wordsOf(destination), wordsOf(source)];
  const asked = {
    protocol,
    firstPort: port,
    lastPort: port,
    address: address[3],
    toAddress: peer[3],
    toPort: 128,
    sourcePort,
    upper: [...address.slice(0, 3), ...peer.slice(0, 3)],
  };
  const isLetIn = sets.some(
    (layout, set) => layout.name.startsWith("pinholes") && netfilter.element(table, layout, { ...asked, set }) !== null,
  );
  return isLetIn ? "keep" : "refuse";
}

/** Where the kernel's maps send an external port now. */
interface Destination {
  readonly address: number;
  readonly port: number;
}

/**
 * `forget`: the kernel's entry goes, so that the next packet is judged by the maps. `refuse`: the entry stays and its
 * packets are refused; forgetting would not do, because a host inside that goes on sending would make the same flow anew.
 */
type Verdict = "keep" | "forget" | "refuse";

function judgeFlow(flow: Flow, current: Destination | "nobody" | null, severedPort: boolean): Verdict {
  if (current === "nobody") return flow.destinationNat ? "refuse" : "keep";
  // A port nobody severed keeps its flows when its forward is gone: its lease ended, or another program flushed the map.
  if (current === null) return severedPort && flow.destinationNat ? "refuse" : "keep";
  const severed = (flow.mark & MARK_SEVERED) !== 0;
  if (!severed && !severedPort && isSharedSince(flow, current)) return "keep";
  const reaches = flow.reply.source === current.address && flow.reply.sourcePort === current.port;
  return reaches && !severed ? "keep" : "forget";
}

/** A port that names begin or cease to share keeps the flows it has: those of who has all else of it, and the proxy's. */
function isSharedSince({ original, reply }: Flow, current: Destination): boolean {
  const isProxy = (address: FlowAddress, port: number): boolean =>
    address === original.destination && port === TLS_PORT;
  return isProxy(current.address, current.port) || isProxy(reply.source, reply.sourcePort);
}

/** Every NATed flow of an address we lost: nothing can reach us by it any more. */
function isNatedBy(flow: Flow, address: number): boolean {
  const inward = flow.original.destination === address && flow.destinationNat;
  const outward = flow.reply.destination === address && flow.sourceNat;
  return inward || outward;
}

/** Answers whether a flow came in by one of many external ports, in constant time for single ones. */
class ExternalPortIndex {
  readonly #singles = new Set<string>();
  readonly #ranges: ExternalPorts[] = [];

  constructor(all: readonly ExternalPorts[]) {
    for (const each of all) {
      if (each.firstPort === each.lastPort) this.#singles.add(`${each.address}|${each.protocol}|${each.firstPort}`);
      else this.#ranges.push(each);
    }
  }

  has({ original: { destination, protocol, destinationPort } }: Flow): boolean {
    if (this.#singles.has(`${destination}|${protocol}|${destinationPort}`)) return true;
    return this.#ranges.some(
      (range) =>
        range.address === destination &&
        range.protocol === protocol &&
        range.firstPort <= destinationPort &&
        destinationPort <= range.lastPort,
    );
  }
}

/** External ports whose flows are to be judged, and addresses whose flows are to be forgotten. */
interface FlowsToJudge {
  readonly severedPorts: readonly ExternalPorts[];
  readonly movedPorts: readonly ExternalPorts[];
  readonly lost: readonly number[];
}

/** Judges the flows of these ports by what the kernel's maps say now, one listing for each address. */
export function endFlows(
  target: ElementTarget,
  { severedPorts, movedPorts, lost }: FlowsToJudge,
): ReconcileError | null {
  const { netfilter } = target;
  try {
    for (const address of lost) {
      const flows = [...netfilter.flows("original", address), ...netfilter.flows("reply", address)];
      for (const flow of flows) if (isNatedBy(flow, address)) netfilter.forgetFlow(flow);
    }
    const severed = new ExternalPortIndex(severedPorts);
    const moved = new ExternalPortIndex(movedPorts);
    for (const address of new Set([...severedPorts, ...movedPorts].map((each) => each.address))) {
      for (const flow of netfilter.flows("original", address)) {
        const isSevered = severed.has(flow);
        if (!isSevered && !moved.has(flow)) continue;
        const verdict =
          typeof address === "string"
            ? judgePinhole(target, flow)
            : judgeFlow(flow, destinationOf(target, flow, address), isSevered);
        if (verdict === "forget") netfilter.forgetFlow(flow);
        else if (verdict === "refuse") netfilter.markFlow(flow, MARK_SEVERED);
      }
    }
    return null;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    return flowsError(error);
  }
}

/** As the rules ask: whether the source may come in there at all ("nobody": it may not), then single ports, then ranges, which keep the port. */
function destinationOf(target: ElementTarget, { original }: Flow, address: number): Destination | "nobody" | null {
  const { netfilter, table, sets } = target;
  const { protocol, destinationPort: port, sourcePort } = original;
  const source = typeof original.source === "number" ? original.source : 0;
  const came = { address, protocol, firstPort: port, lastPort: port, sourcePort };
  const asked = { ...came, set: 0, toAddress: source, toPort: 32 };
  const among = (name: string): boolean => {
    const layout = sets.find((each) => each.name === name);
    return layout !== undefined && netfilter.element(table, layout, asked) !== null;
  };
  if (among("restricted") && !among("allowed") && !among("allowed_ports")) return "nobody";
  for (const [set, layout] of sets.entries()) {
    if (layout.name !== "forwards" && layout.name !== "ranges") continue;
    const found = netfilter.element(table, layout, { ...came, set, toAddress: 0, toPort: 0 });
    if (found !== null) return { address: found.toAddress, port: layout.name === "ranges" ? port : found.toPort };
  }
  return null;
}

/** What a kernel without nf_conntrack_netlink answers. */
const MISSING = new Set(["EINVAL", "EOPNOTSUPP", "EPROTONOSUPPORT"]);

function flowsError({ code }: NetlinkError): ReconcileError {
  if (MISSING.has(code)) {
    const message = "the kernel has no nf_conntrack_netlink: live flows cannot be ended";
    return { code: "UNAVAILABLE", message, disposition: "terminal" };
  }
  return { code, message: `live flows could not be ended: ${code}`, disposition: "transient" };
}
