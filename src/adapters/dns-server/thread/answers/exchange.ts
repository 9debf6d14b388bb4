import { RCODE } from "../../../../protocols/dns/constants.ts";
import type { Message } from "../../../../protocols/dns/message.ts";
import { encodeMessage } from "../../../../protocols/dns/encode.ts";
import { EXTENDED_ERROR, extendedError } from "../../../../protocols/dns/extended-error.ts";
import { FLAG, uint16 } from "../../../../protocols/dns/skim.ts";
import type { DnsListener } from "../../messages.ts";
import { limitOf, type ReplyContent, replyTo } from "./reply.ts";
import type { Signing } from "./signing.ts";
import type { View } from "../zones/views.ts";

/** Who asks, where, and how. */
export interface Client {
  readonly listener: DnsListener;
  readonly address: string;
  readonly port: number;
  readonly transport: "udp" | "tcp";
}

/** One message, or several for a transfer; null: silence. */
export type Reply = Uint8Array | readonly Uint8Array[] | null;

/** Never rejects. */
export type Respond = (bytes: Uint8Array, client: Client) => Reply | Promise<Reply>;

export const isSeveral = (reply: Uint8Array | readonly Uint8Array[]): reply is readonly Uint8Array[] =>
  Array.isArray(reply);

/** A message that is whole, from somebody of the view, whose signature is right or not there. */
export interface Asked {
  readonly bytes: Uint8Array;
  readonly client: Client;
  readonly view: View;
  readonly request: Message;
  readonly signing: Exclude<Signing, { kind: "failed" }>;
}

/** Not signed: for answers whose signature says what is wrong with the question's. */
export function bare({ request, client }: Pick<Asked, "request" | "client">, rcode: number): Uint8Array {
  return encodeMessage(replyTo(request, { rcode }), { limit: limitOf(client.transport, request.edns), room: 0 });
}

/** An answer of somebody else's, signed as the question was; cut to nothing but the question if that is too long. */
export function finishWith(asked: Asked, answer: Uint8Array): Uint8Array {
  const { signing, request, client } = asked;
  if (signing.kind === "none") return answer;
  if (answer.length + signing.room <= limitOf(client.transport, request.edns)) return signing.sign(answer);
  if (client.transport === "tcp") return finish(asked, TOO_LONG);
  const cut = { ...replyTo(request, { rcode: RCODE.NOERROR }), truncated: true };
  return signing.sign(encodeMessage(cut));
}

/** TC tells to come by TCP (RFC 2181 §9): there it would be asked for ever. */
const TOO_LONG: ReplyContent = {
  rcode: RCODE.SERVFAIL,
  options: [extendedError(EXTENDED_ERROR.OTHER, "the answer is longer than a message may be")],
};

/** Cut to what the client takes, and signed as the question was. */
export function finish({ request, signing, client }: Asked, content: ReplyContent): Uint8Array {
  const limit = limitOf(client.transport, request.edns);
  const room = signing.kind === "verified" ? signing.room : 0;
  const whole = encodeMessage(replyTo(request, content), { limit, room });
  const isCut = (uint16(whole, 2) & FLAG.TC) !== 0;
  const reply =
    isCut && client.transport === "tcp" ? encodeMessage(replyTo(request, TOO_LONG), { limit, room }) : whole;
  return signing.kind === "verified" ? signing.sign(reply) : reply;
}
