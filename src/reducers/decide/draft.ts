import type { Declaration } from "../../events/declaration.ts";
import { GENESIS_HASH } from "../../events/envelope.ts";
import type { PortreeveEvent } from "../../events/index.ts";
import { foldInto } from "../fold.ts";
import { branchState } from "../fork.ts";
import type { Device, State, Subnet } from "../state.ts";
import type { Answer, CommandEnvelope, Decision, Refusal } from "./command.ts";
import { accept } from "./refusal.ts";

/** What a refusal says in full; of a long list the rest is a number. */
const NAMED_MAX = 20;

/** A change of many steps: each is decided on what the ones before it made, and all of it is one decision. */
export class Draft {
  readonly #envelope: CommandEnvelope;
  readonly #events: PortreeveEvent[] = [];
  readonly #refusals: { readonly where: string; readonly refusal: Refusal }[] = [];
  /** What came to nothing: what rests on it is not tried, for it would only be named as well. */
  readonly failed = new Set<string>();
  /** Subnet id → the last address that was chosen in it. */
  readonly lastChosen = new Map<string, string>();
  readonly state: State;

  constructor({ now, source, requestId, entropy, sharesPorts = true }: CommandEnvelope, state: State) {
    this.#envelope = { now, source, requestId, entropy, sharesPorts };
    this.state = branchState(state);
  }

  /** `where`: what the step is about, as the person who asked calls it; ids are derived from it. */
  do(where: string, decide: (envelope: CommandEnvelope, state: State) => Decision): boolean {
    const decision = this.step(where, decide);
    if (!decision.ok) this.refuse(where, decision.refusal);
    return decision.ok;
  }

  /** As `do`; a refusal is left to the caller. */
  step(where: string, decide: (envelope: CommandEnvelope, state: State) => Decision): Decision {
    const requestId = `${this.#envelope.requestId} ${where}`;
    const decision = decide({ ...this.#envelope, requestId }, this.state);
    if (decision.ok) this.log(decision.events);
    return decision;
  }

  log(events: readonly PortreeveEvent[]): void {
    const { now, source, requestId } = this.#envelope;
    const at = Math.max(now, this.state.at);
    for (const event of events) {
      const hashes = { prevHash: GENESIS_HASH, hash: GENESIS_HASH };
      foldInto(this.state, { seq: this.state.seq + 1, at, source, requestId, causedBy: null, event, ...hashes });
      this.#events.push(event);
    }
  }

  refuse(where: string, refusal: Refusal): void {
    this.failed.add(where);
    this.#refusals.push({ where, refusal });
  }

  decision(answer: Answer = { kind: "done" }): Decision {
    const [first] = this.#refusals;
    if (first === undefined) return accept(this.#events, answer);
    const named = this.#refusals.slice(0, NAMED_MAX).map(({ where, refusal }) => `${where}: ${refusal.message}`);
    const more = this.#refusals.length - named.length;
    const conflicts = this.#refusals.flatMap(({ refusal }) => refusal.conflicts ?? []);
    const message = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
    return { ok: false, refusal: { code: first.refusal.code, message, ...(conflicts.length > 0 && { conflicts }) } };
  }
}

/** Why an object is none of a declaration's; null if it is. */
export function foreign(
  object: Pick<Subnet | Device, "name" | "managedBy">,
  { name }: Pick<Declaration, "name">,
): string | null {
  if (object.managedBy === name) return null;
  const owner = object.managedBy === undefined ? "by hand" : `by the declaration ${object.managedBy}`;
  return `${object.name} is there already and was made ${owner}: it is not touched; give this one another name, or remove that one`;
}
