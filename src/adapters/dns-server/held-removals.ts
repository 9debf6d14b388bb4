import { type DnsUpdate, isAddressType } from "../../lib/dns-record.ts";
import type { UpdateRequest } from "./messages.ts";

/** StartOS sends the second message when the first is answered, and gives up on an answer after 2 s. */
const HELD_MS = 3000;

interface Held {
  readonly request: UpdateRequest;
  readonly timer: NodeJS.Timeout;
}

/**
 * StartOS says "my address is this" in two messages: take away the addresses of the name, then add this one; again every
 * 180 s. Carried out one by one that is two events for nothing, and a moment without the name. So the removal alone waits a
 * little: what follows is decided with it, as the one change it is; if nothing does, it was a removal. Until then it is
 * answered and not durable: who dies in those seconds leaves a name that its lease ends.
 */
export class HeldRemovals {
  readonly #held = new Map<string, Held>();
  readonly #carryOut: (request: UpdateRequest) => void;

  constructor(carryOut: (request: UpdateRequest) => void) {
    this.#carryOut = carryOut;
  }

  /** Whether it is one that an addition may follow. */
  static mayPrecede({ inPairs, update }: UpdateRequest): boolean {
    const [change] = update.changes;
    const alone = update.changes.length === 1 && update.prerequisites.length === 0;
    return inPairs && alone && change?.kind === "delete-rrset" && isAddressType(change.type);
  }

  hold(request: UpdateRequest): void {
    const timer = setTimeout(() => this.#release(request.device), HELD_MS);
    this.#held.set(request.device, { request, timer });
  }

  /** The update with what its device said just before; what is held and has nothing to do with it is carried out first. */
  joined(request: UpdateRequest): DnsUpdate {
    const held = this.#held.get(request.device);
    const { update } = request;
    if (held === undefined) return update;
    const { update: before } = held.request;
    const [removal] = before.changes;
    const belongs =
      request.inPairs &&
      update.prerequisites.length === 0 &&
      update.zone === before.zone &&
      removal?.kind === "delete-rrset" &&
      update.changes.some((each) => each.kind === "add" && each.name === removal.name && each.type === removal.type);
    if (!belongs) {
      this.#release(request.device);
      return update;
    }
    clearTimeout(held.timer);
    this.#held.delete(request.device);
    return { ...update, changes: [...before.changes, ...update.changes] };
  }

  /** Nothing waits any longer. */
  close(): void {
    for (const device of this.#held.keys()) this.#release(device);
  }

  #release(device: string): void {
    const held = this.#held.get(device);
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#held.delete(device);
    this.#carryOut(held.request);
  }
}
