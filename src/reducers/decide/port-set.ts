import type { Transport } from "../../events/fields.ts";
import type { Claim } from "../../events/mapping.ts";
import { RESERVED_FIRST } from "../../lib/reserved-ports.ts";
import { mappingsTo } from "../port-index.ts";
import { siteOf } from "../served.ts";
import type { State } from "../state.ts";
import { countsOf, usagesOf } from "../usage.ts";
import { admit } from "./admission.ts";
import type { CommandEnvelope, MapRequest } from "./command.ts";
import { hindrance, POOL_FIRST } from "./external-port.ts";

/** What a client asks for as one mapping at most; each port is up to three elements in the kernel. */
const SET_PORTS_MAX = 1024;
/** How far a long run is looked for: whoever leaves only short ones cannot make each request walk all ports. */
const LOOKED_AT_MAX = 4 * SET_PORTS_MAX;

interface Asked {
  readonly command: CommandEnvelope & MapRequest;
  readonly state: State;
  readonly wan: string;
  readonly protocol: Transport;
}

interface Run {
  readonly externalPort: number;
  readonly count: number;
}

/** How many consecutive internal ports are mapped at most: never more than asked for, fewer where one is not to be had (RFC 7753 §4.2). */
export function internalRun(asked: Asked): number {
  const { command, state } = asked;
  const { ports } = state.settings.portControl.perDevice;
  const used = countsOf(usagesOf(state, siteOf(state, command.interface), command.device)).ports;
  const size = command.portSet?.size ?? 1;
  const longest = Math.min(size, SET_PORTS_MAX, 65_536 - command.internalPort, Math.max(1, ports - used));
  let count = 1;
  while (count < longest && isFreeInside(asked, command.internalPort + count)) count += 1;
  return count;
}

/** Nothing leads there yet, and the device may have it. */
function isFreeInside({ command, state, protocol }: Asked, internalPort: number): boolean {
  const { interface: iface, device } = command;
  if (mappingsTo(state, device, protocol, internalPort).some(({ name }) => name === null)) return false;
  return !("code" in admit(state, { interface: iface, device, internalPort }, protocol));
}

/**
 * Free consecutive external ports, from one that is preferred or the first by entropy; the longest run that is near if none
 * there is of that length. Null: not even one is free there. `parity`: the first is even or odd as the first internal one is.
 */
export function externalRun(asked: Asked, preferred: readonly number[], count: number): Run | null {
  const { command, state, wan, protocol } = asked;
  const { device, now, internalPort, portSet } = command;
  const fits = (port: number): boolean => portSet?.parity !== true || (port - internalPort) % 2 === 0;
  const isFree = (port: number): boolean =>
    hindrance(state, { wan, protocol, port, alone: true }, device, now) === null;
  const runFrom = (first: number): number => {
    let length = 0;
    while (length < count && first + length <= 65_535 && isFree(first + length)) length += 1;
    return length;
  };
  for (const first of preferred)
    if (first > 0 && fits(first) && runFrom(first) === count) return { externalPort: first, count };
  const size = RESERVED_FIRST - POOL_FIRST;
  let longest: Run | null = null;
  for (let step = 0; step < LOOKED_AT_MAX; ) {
    const first = POOL_FIRST + ((command.entropy + step) % size);
    const length = fits(first) ? runFrom(first) : 0;
    if (length === count) return { externalPort: first, count };
    if (length > (longest?.count ?? 0)) longest = { externalPort: first, count: length };
    // What ended this run ends every one that begins within it.
    step += length + 1;
  }
  return longest;
}

/** Own claims by the same nonce on other mappings within the internal ports asked for (RFC 7753 §4.4). */
export function touchedClaims({ command, state, wan, protocol }: Asked, answered: string, key: string): Touched[] {
  const size = Math.min(command.portSet?.size ?? 1, SET_PORTS_MAX, 65_536 - command.internalPort);
  const found = new Map<string, Touched>();
  for (let port = command.internalPort + 1; port < command.internalPort + size; port += 1) {
    for (const mapping of mappingsTo(state, command.device, protocol, port)) {
      const claim = mapping.claims.find((each) => each.key === key);
      const is = mapping.id !== answered && mapping.wan === wan && mapping.name === null && mapping.enabled;
      if (is && claim !== undefined) found.set(mapping.id, { mappingId: mapping.id, claim });
    }
  }
  return [...found.values()];
}

interface Touched {
  readonly mappingId: string;
  readonly claim: Claim;
}
