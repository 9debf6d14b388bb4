import { answer } from "../../../src/adapters/pcp-server/answer.ts";
import { Control } from "../../../src/adapters/upnp-server/control.ts";
import { identityOf } from "../../../src/adapters/upnp-server/identity.ts";
import { httpStatus } from "../../../src/api/problem.ts";
import type { SubmissionInput } from "../../../src/controller/port.ts";
import { upnpFirewall } from "../../../src/reducers/select/upnp-firewall.ts";
import type { Mapping } from "../../../src/reducers/state.ts";
import { tableRows } from "../../../src/lib/table.ts";
import { ManualClock } from "../../../src/lib/manual-clock.ts";
import { decodeNatPmpResponse } from "../../../src/protocols/natpmp/response.ts";
import { encodeNatPmpRequest } from "../../../src/protocols/natpmp/request.ts";
import { encodeRequest } from "../../../src/protocols/pcp/request.ts";
import { decodeResponse as decodePcpResponse } from "../../../src/protocols/pcp/response.ts";
import type { PcpOption } from "../../../src/protocols/pcp/option.ts";
import { UpnpFault } from "../../../src/protocols/upnp/error.ts";
import { decodeResponse, encodeCall, soapActionText } from "../../../src/protocols/upnp/soap.ts";
import type { Decision, Outcome } from "../../../src/reducers/decide/command.ts";
import { selectForwards } from "../../../src/reducers/select/forward-rows.ts";
import { selectSni } from "../../../src/reducers/select/sni-rows.ts";
import { FakeController } from "../adapters/pcp-server/fake-controller.ts";
import { portAdd, WAN_ADDRESS } from "./given.ts";
import { Router } from "./router.ts";

const INSTANCE = "0123456789abcdef";
const NAME = "a.example.org";
export const BY_NAME = 60_443;

/** What was answered on the wire: the external port, or the error in the asker's own protocol with the sentence that goes with it. */
export type Told = { readonly port: number } | { readonly error: string; readonly sentence: string };

/** Who asks: a device by its name, for one of its own ports. */
export interface Asker {
  readonly device: string;
  readonly internalPort: number;
}

export interface Contender {
  /** Whether it wants one name of the port, or all that is left of it. */
  readonly named: boolean;
  ask(arena: Arena, asker: Asker, port: number, lifetime: number): Promise<Told>;
  /** Gives back what it was given. */
  leave(arena: Arena, asker: Asker, port: number): Promise<unknown>;
}

/** A gateway with two devices behind a tunnel, asked in the bytes of each protocol. */
export class Arena extends Router {
  readonly #forwards = selectForwards(INSTANCE);
  readonly #sni = selectSni(INSTANCE);

  constructor() {
    super();
    for (const name of ["one", "two"]) this.device(name);
  }

  /** Where a visitor of the whole port, or of the name, is led: by the rows of the kernel and of HAProxy. */
  led(port: number, named: boolean): string | null {
    const forward = this.#forwards(this.state).get(`forward|${WAN_ADDRESS}|tcp|${port}`)?.spec;
    if (forward?.kind !== "forward") return null;
    if (forward.toAddress !== WAN_ADDRESS) return named ? null : `${forward.toAddress}:${forward.toPort}`;
    if (forward.toPort !== BY_NAME) return named ? null : "redirect";
    const key = named ? `route|${WAN_ADDRESS}|${port}|${NAME}` : `fallback|${WAN_ADDRESS}|${port}`;
    const row = this.#sni(this.state).get(key)?.spec;
    return row?.kind === "route" || row?.kind === "fallback" ? `${row.toAddress}:${row.toPort}` : null;
  }

  mappings(): Mapping[] {
    return [...tableRows(this.state.mappings)];
  }

  target({ device, internalPort }: Asker): string {
    return `${this.find(device).address}:${internalPort}`;
  }

  async datagram(bytes: Uint8Array, { device }: Asker): Promise<{ bytes: Uint8Array; message: string }> {
    const from = { address: this.find(device).address, port: 40_000, interface: "wg0" };
    const standing = {
      ready: true,
      pcp: true,
      natpmp: true,
      externalAddress: WAN_ADDRESS,
      epoch: 1,
      sniAvailable: true,
      asksForOthers: false,
    };
    const said = answer({ bytes, ...from }, standing);
    if (said.kind === "drop") throw new Error(said.message);
    return said.kind === "reply" ? said.reply : said.replyTo(outcomeOf(this.do(said.command, "wire"), this), 1);
  }

  async soap(
    action: string,
    args: Record<string, string | number>,
    { device }: Asker,
  ): Promise<{ values: ReadonlyMap<string, string>; fault: UpnpFault | null; message: string }> {
    const gateway = {
      controller: new ControllerOf(this),
      clock: new ManualClock(this.now),
      core: {
        addressOf: () => WAN_ADDRESS,
        wanOf: () => "wan0",
        entriesOf: () => [],
        firewall: upnpFirewall,
        hearsMulticast: () => true,
      },
      readWan: () => Promise.resolve(null),
      ipv4Of: () => Promise.resolve(null),
      readFlowTimeout: () => Promise.resolve(null),
      startedAt: 0,
    };
    const named = { service: { kind: "service", name: "WANIPConnection", version: 2 } as const, action };
    const body = new TextEncoder().encode(encodeCall(named, Object.entries(args)));
    const caller = { interface: "wg0", device: this.find(device).address };
    const control = new Control(gateway, identityOf("an instance", "1.2.3"));
    const said = await control.answer("WANIPConnection", caller, soapActionText(named), body);
    const read = decodeResponse(new TextEncoder().encode(said.body));
    return read instanceof UpnpFault
      ? { values: new Map(), fault: read, message: said.message }
      : { values: new Map(read.args), fault: null, message: said.message };
  }
}

const outcomeOf = (decision: Decision, { state }: Router): Outcome =>
  decision.ok
    ? { ok: true, seq: state.seq, changed: decision.events.length > 0, answer: decision.answer }
    : { ok: false, refusal: decision.refusal };

class ControllerOf extends FakeController {
  readonly #arena: Arena;

  constructor(arena: Arena) {
    super();
    this.#arena = arena;
    this.state = arena.state;
  }

  override submitSettled({ source, requestId: _, ...command }: SubmissionInput): Promise<Outcome> {
    const outcome = outcomeOf(this.#arena.do(command, source), this.#arena);
    this.state = this.#arena.state;
    return Promise.resolve(outcome);
  }
}

const NONCES = { plain: "11", exact: "22" } as const;

function pcp(named: boolean, exact: boolean): Contender {
  const options: PcpOption[] = [
    ...(exact ? [{ kind: "prefer-failure" } as const] : []),
    ...(named ? [{ kind: "hostname", hostname: NAME } as const] : []),
  ];
  const send = async (arena: Arena, asker: Asker, port: number, lifetime: number): Promise<Told> => {
    const { address } = arena.find(asker.device);
    const nonce = (asker.device === "one" ? "01" : "02").repeat(6) + NONCES[exact ? "exact" : "plain"].repeat(6);
    const fields = { nonce, protocol: 6, internalPort: asker.internalPort, externalPort: port };
    const body = { kind: "map", ...fields, externalAddress: "0.0.0.0" } as const;
    const sent = lifetime === 0 ? options.filter(({ kind }) => kind === "hostname") : options;
    const request = encodeRequest({ lifetime, clientAddress: address, body, options: sent });
    const { bytes, message } = await arena.datagram(request, asker);
    const read = decodePcpResponse(bytes);
    if (read.result !== 0) return { error: `PCP ${read.result}`, sentence: message };
    return { port: read.body?.kind === "map" ? read.body.externalPort : 0 };
  };
  return { named, ask: send, leave: (arena, asker, port) => send(arena, asker, port, 0) };
}

const natPmp: Contender = {
  named: false,
  async ask(arena, asker, port, lifetime) {
    const { internalPort } = asker;
    const request = encodeNatPmpRequest({ kind: "map", protocol: "tcp", internalPort, suggestedPort: port, lifetime });
    const { bytes, message } = await arena.datagram(request, asker);
    const read = decodeNatPmpResponse(bytes);
    if (read.result !== 0) return { error: `NAT-PMP ${read.result}`, sentence: message };
    return { port: read.kind === "map" ? read.externalPort : 0 };
  },
  leave: (arena, asker) => natPmp.ask(arena, asker, 0, 0),
};

const upnp = (action: "AddPortMapping" | "AddAnyPortMapping"): Contender => ({
  named: false,
  async ask(arena, asker, port, lifetime) {
    const args = {
      NewRemoteHost: "",
      NewExternalPort: port,
      NewProtocol: "TCP",
      NewInternalPort: asker.internalPort,
      NewInternalClient: arena.find(asker.device).address,
      NewEnabled: 1,
      NewPortMappingDescription: "",
      NewLeaseDuration: lifetime,
    };
    const { values, fault, message } = await arena.soap(action, args, asker);
    if (fault !== null) return { error: `UPnP ${fault.number}`, sentence: message };
    return { port: Number(values.get("NewReservedPort") ?? port) };
  },
  leave: (arena, asker, port) => {
    const args = { NewRemoteHost: "", NewExternalPort: port, NewProtocol: "TCP" };
    return arena.soap("DeletePortMapping", args, asker);
  },
});

const byOperator = (named: boolean): Contender => ({
  named,
  async ask(arena, { device, internalPort }, externalPort, lifetime) {
    const place = { externalPort, internalAddress: arena.find(device).address, internalPort, lifetime };
    const decision = arena.do(portAdd({ ...place, ...(named && { name: NAME }) }), "api:test");
    if (decision.ok) return { port: externalPort };
    const { code, message } = decision.refusal;
    return { error: `${httpStatus(code)} ${code}`, sentence: message };
  },
  leave(arena, asker, port) {
    const [address, internalPort] = arena.target(asker).split(":");
    const mapping = arena
      .mappings()
      .find(
        (each) =>
          each.externalPort === port &&
          each.internalAddress === address &&
          each.internalPort === Number(internalPort) &&
          (each.name !== null) === named,
      );
    // As `port remove` does, it takes the port from everybody.
    return Promise.resolve(arena.do({ type: "port.remove", id: mapping?.id ?? "" }, "api:test"));
  },
});

export const CONTENDERS = {
  pcp: pcp(false, false),
  exact: pcp(false, true),
  name: pcp(true, false),
  natpmp: natPmp,
  add: upnp("AddPortMapping"),
  any: upnp("AddAnyPortMapping"),
  forward: byOperator(false),
  route: byOperator(true),
} as const satisfies Record<string, Contender>;
