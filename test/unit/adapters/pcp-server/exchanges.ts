import { expect } from "vitest";
import { answer } from "../../../../src/adapters/pcp-server/answer.ts";
import type { Answer, Datagram, Standing } from "../../../../src/adapters/pcp-server/exchange.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { toHex } from "../../protocols/hex.ts";

export const CLIENT = { address: "192.168.77.2", port: 50_000, interface: "lan0" } as const;
export const STANDING: Standing = {
  ready: true,
  pcp: true,
  natpmp: true,
  externalAddress: "11.22.33.1",
  epoch: 100,
  sniAvailable: false,
  asksForOthers: false,
};
export const DONE: Outcome = { ok: true, seq: 9, changed: true, answer: { kind: "done" } };
export const NOTHING_DONE: Outcome = { ok: true, seq: 9, changed: false, answer: { kind: "done" } };
export const refusal = (code: Extract<Outcome, { ok: false }>["refusal"]["code"], retryAfter?: number): Outcome => ({
  ok: false,
  refusal: { code, message: "because", ...(retryAfter === undefined ? {} : { retryAfter }) },
});

export function ask(bytes: Uint8Array, standing: Partial<Standing> = {}, from: Partial<Datagram> = {}): Answer {
  return answer({ bytes, ...CLIENT, ...from }, { ...STANDING, ...standing });
}

/** The hex of a reply given at once. */
export function replied(bytes: Uint8Array, standing: Partial<Standing> = {}): string {
  const said = ask(bytes, standing);
  if (said.kind !== "reply") throw new Error(`no reply but ${said.kind}`);
  return toHex(said.reply.bytes);
}

/** The hex of the reply after the controller's outcome. */
export function settled(bytes: Uint8Array, outcome: Outcome, epoch = 100, standing: Partial<Standing> = {}): string {
  const said = ask(bytes, standing);
  if (said.kind !== "ask") throw new Error(`nothing asked but ${said.kind}`);
  return toHex(said.replyTo(outcome, epoch).bytes);
}

export function expectDropped(bytes: Uint8Array, standing: Partial<Standing> = {}): void {
  expect(ask(bytes, standing).kind).toBe("drop");
}

/** What the controller is asked. */
export function commandOf(bytes: Uint8Array, standing: Partial<Standing> = {}): unknown {
  const said = ask(bytes, standing);
  if (said.kind !== "ask") throw new Error(`nothing asked but ${said.kind}`);
  return said.command;
}
