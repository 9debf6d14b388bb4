import { Forwarding } from "../../../../src/adapters/dns-server/thread/forwarder/forwarding.ts";
import type { ResolveHow } from "../../../../src/adapters/dns-server/thread/forwarder/resolution.ts";
import type { Client, Reply } from "../../../../src/adapters/dns-server/thread/answers/exchange.ts";
import type { UpdateRequest, Verdict } from "../../../../src/adapters/dns-server/messages.ts";
import { Queries } from "../../../../src/adapters/dns-server/thread/answers/queries.ts";
import { Responder } from "../../../../src/adapters/dns-server/thread/answers/responder.ts";
import { Tally } from "../../../../src/adapters/dns-server/thread/tally.ts";
import { Updates } from "../../../../src/adapters/dns-server/thread/answers/updates.ts";
import { Views } from "../../../../src/adapters/dns-server/thread/zones/views.ts";
import type { ZoneData } from "../../../../src/adapters/dns-server/thread/zones/zone-data.ts";
import { CLASS, OPCODE, RCODE, TYPE } from "../../../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../../../src/protocols/dns/encode.ts";
import type { Edns, Message, OpenMessage } from "../../../../src/protocols/dns/message.ts";
import { name } from "./zone.ts";

export const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index);
export const KEY_NAME = "nas.home.arpa";
export const NOW = 1_800_000_000;

export function message(content: Partial<Message>): Message {
  return {
    id: 0x1234,
    response: false,
    opcode: OPCODE.QUERY,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    edns: null,
    ...content,
  };
}

export function query(owner: string, type: keyof typeof TYPE = "A", content: Partial<Message> = {}): Uint8Array {
  return encodeMessage(message({ questions: [{ name: name(owner), type: TYPE[type], class: CLASS.IN }], ...content }));
}

export const edns = (content: Partial<Edns> = {}): Edns => ({
  udpOctets: 1232,
  version: 0,
  dnssecOk: false,
  options: [],
  ...content,
});

/** A responder whose forwarder and decider are the test's, with the view `home` and a LAN's. */
export class Rig {
  readonly views = new Views();
  readonly forwarded: Uint8Array[] = [];
  readonly updates: UpdateRequest[] = [];
  readonly badSignatures: string[] = [];
  now = NOW;
  monotonic = 0;
  forward: (bytes: Uint8Array) => Promise<Uint8Array> = (bytes) => {
    const { message: asked } = decodeMessage(bytes);
    return Promise.resolve(encodeMessage({ ...asked, response: true, recursionAvailable: true, rcode: 3 }));
  };
  /** What the forwarder need ask nobody for. */
  atHand: (bytes: Uint8Array) => Uint8Array | null = () => null;
  decide: (request: UpdateRequest) => Verdict | null = () => ({ kind: "answer", rcode: 0, lease: null, message: "" });
  readonly #responder: Responder;

  constructor(zones: ZoneData) {
    const view = { kind: "view", zone: "home.arpa", upstreams: { mode: "system" } } as const;
    this.views.set({
      ...view,
      id: "home",
      interface: "wg0",
      prefixes: ["10.59.0.0/24", "fd00::/64"],
      unsignedUpdates: false,
    });
    this.views.set({ ...view, id: "lan:lan0", interface: "lan0", prefixes: ["192.168.1.0/24"], unsignedUpdates: true });
    this.views.serve([listener("home", "10.59.0.1"), listener("lan:lan0", "192.168.1.1")]);
    const keys = [{ name: KEY_NAME, secret: SECRET }];
    this.views.setKeys({ kind: "keys", device: "d1", view: "home", sources: ["10.59.0.2"], keys });
    this.views.setKeys({ kind: "keys", device: "d2", view: "home", sources: ["10.59.0.3"], keys: [] });
    this.views.setKeys({ kind: "keys", device: "d3", view: "lan:lan0", sources: ["192.168.1.9"], keys: [] });
    const tally = new Tally();
    const resolve = (bytes: Uint8Array, _view: string, { onResolved, mayWait = true }: ResolveHow) => {
      const atHand = this.atHand(bytes);
      if (atHand !== null) return atHand;
      if (!mayWait) return encodeMessage({ ...decodeMessage(bytes).message, response: true, rcode: RCODE.SERVFAIL });
      this.forwarded.push(bytes);
      onResolved?.({ kind: "forwarded" } as never);
      return this.forward(bytes);
    };
    const forwarding = new Forwarding({ resolve }, zones, tally);
    const updates = new Updates(this.views, tally, (id, request) => {
      this.updates.push(request);
      const verdict = this.decide(request);
      if (verdict !== null) updates.decided(id, verdict);
    });
    this.#responder = new Responder({
      zones,
      views: this.views,
      forwarding,
      queries: new Queries(zones, forwarding, tally, () => this.monotonic),
      updates,
      tally,
      nowSeconds: () => this.now,
      monotonic: () => this.monotonic,
      onBadSignature: (_client, _tsig, why) => this.badSignatures.push(why),
    });
  }

  async raw(
    bytes: Uint8Array,
    from: Partial<Pick<Client, "address" | "transport">> & { view?: string } = {},
  ): Promise<Reply> {
    const { view = "home", address = "10.59.0.2", transport = "udp" } = from;
    const at = LISTENERS.get(view) ?? listener(view, "10.59.0.1");
    LISTENERS.set(view, at);
    return await this.#responder.respond(bytes, { listener: at, address, port: 4000, transport });
  }

  /** The one answer, opened; null if there is none. */
  async ask(bytes: Uint8Array, from: Parameters<Rig["raw"]>[1] = {}): Promise<OpenMessage | null> {
    const reply = await this.raw(bytes, from);
    if (reply === null) return null;
    if (!(reply instanceof Uint8Array)) throw new Error("several answers");
    return decodeMessage(reply);
  }
}

const LISTENERS = new Map<string, Client["listener"]>();
const listener = (view: string, address: string): Client["listener"] => {
  return { view, interface: view, address, port: 53, ifindex: 2 };
};
