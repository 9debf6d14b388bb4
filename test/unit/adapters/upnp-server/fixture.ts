import { Control } from "../../../../src/adapters/upnp-server/control.ts";
import type { Caller, Core, EntryRange, Gateway, WanLink } from "../../../../src/adapters/upnp-server/exchange.ts";
import { identityOf } from "../../../../src/adapters/upnp-server/identity.ts";
import type { SubmissionInput } from "../../../../src/controller/port.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import { decodeResponse, encodeCall, soapActionText } from "../../../../src/protocols/upnp/soap.ts";
import { UpnpFault } from "../../../../src/protocols/upnp/error.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { FakeController } from "../pcp-server/fake-controller.ts";

export const CALLER: Caller = { interface: "lan0", device: "192.168.77.2" };
export const OWN_IPV6 = "2001:db8:77::2";
export const IDENTITY = identityOf("an instance", "1.2.3");
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const entry = (more: Partial<EntryRange> = {}): EntryRange => ({
  count: 1,
  remoteHost: "",
  externalPort: 8080,
  protocol: "TCP",
  internalPort: 80,
  internalClient: CALLER.device,
  enabled: true,
  description: "web",
  leaseSeconds: 600,
  ...more,
});

/** A gateway whose core says what a test tells it to. */
export class Rig {
  readonly clock = new ManualClock();
  readonly controller = new FakeController();
  address: string | null = "11.22.33.1";
  entries: readonly EntryRange[] = [];
  firewall = { enabled: true, pinholes: true };
  flowTimeout: number | null = 120;
  link: WanLink | null = {
    up: true,
    bitsPerSecond: 1e9,
    sent: { bytes: 5, packets: 1 },
    received: { bytes: 6, packets: 2 },
  };
  readonly core: Core = {
    addressOf: () => this.address,
    wanOf: () => "wan0",
    entriesOf: () => this.entries,
    firewall: {
      statusOf: () => this.firewall,
      pinholeAddress: (_state, _caller, uniqueId) => (uniqueId === 7 ? OWN_IPV6 : null),
    },
    hearsMulticast: () => true,
  };
  readonly gateway: Gateway = {
    controller: this.controller,
    clock: this.clock,
    core: this.core,
    readWan: () => Promise.resolve(this.link),
    ipv4Of: (_served, address) => Promise.resolve(address === OWN_IPV6 ? CALLER.device : null),
    readFlowTimeout: () => Promise.resolve(this.flowTimeout),
    startedAt: this.clock.now(),
  };
  readonly control = new Control(this.gateway, IDENTITY);

  /** The values of an answer, or the number of the fault. */
  async call(
    action: string,
    args: Record<string, string | number> = {},
    service = "WANIPConnection",
    version = 2,
  ): Promise<Record<string, string> | number> {
    const named = { service: { kind: "service", name: service, version } as const, action };
    const body = bytes(encodeCall(named, Object.entries(args)));
    const at = ["WANCommonInterfaceConfig", "Layer3Forwarding", "WANIPv6FirewallControl"].includes(service)
      ? service
      : "WANIPConnection";
    const said = await this.control.answer(at as "WANIPConnection", CALLER, soapActionText(named), body);
    const read = decodeResponse(bytes(said.body));
    return read instanceof UpnpFault ? read.number : Object.fromEntries(read.args);
  }

  /** A call that the controller is asked about: what it was asked, and what came of its outcome. */
  async asked(
    outcome: Outcome,
    action: string,
    args: Record<string, string | number>,
  ): Promise<{ command: SubmissionInput | undefined; said: Record<string, string> | number }> {
    const answer = this.call(action, args);
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    if (this.controller.submitted.length > 0) this.controller.decideNext(outcome);
    return { command: this.controller.submitted.pop(), said: await answer };
  }
}
