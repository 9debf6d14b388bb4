import { randomUUID } from "node:crypto";
import type { Arguments } from "../../protocols/upnp/arguments.ts";
import { type UpnpErrorNumber, UpnpFault } from "../../protocols/upnp/error.ts";
import type { Command, Outcome, Refusal } from "../../reducers/decide/command.ts";
import type { Caller, Gateway, Values } from "./exchange.ts";

/** How an action is answered. Throws `UpnpFault`. */
export type Action = (gateway: Gateway, caller: Caller, args: Arguments) => Values | Promise<Values>;
export type Actions = Readonly<Record<string, Action>>;

/** Knows our own code too, for the list of requests. */
export class RefusedByCore extends UpnpFault {
  readonly code: string;

  constructor(number: UpnpErrorNumber, { code, message }: Refusal) {
    super(number, message);
    this.code = code;
  }
}

export function refuse(...[number, message]: ConstructorParameters<typeof UpnpFault>): never {
  throw new UpnpFault(number, message);
}

/** What the core answers to a caller's command. `errorOf`: what a refusal is to the service that was asked. */
export async function submit(
  { controller }: Gateway,
  { device }: Caller,
  command: Extract<Command, { type: `upnp${string}` }>,
  errorOf: (refusal: Refusal) => UpnpErrorNumber,
): Promise<Extract<Outcome, { ok: true }>["answer"]> {
  const envelope = { source: `upnp:${device}`, requestId: `upnp-${randomUUID()}` };
  const outcome = await controller.submitSettled({ ...command, ...envelope });
  if (outcome.ok) return outcome.answer;
  throw new RefusedByCore(errorOf(outcome.refusal), outcome.refusal);
}
