import { describe, expect, it } from "vitest";
import { describe as describeGateway } from "../../../../src/adapters/upnp-server/documents.ts";
import { EventedValues } from "../../../../src/adapters/upnp-server/evented.ts";
import type { ErrorCode } from "../../../../src/lib/errors.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { WAN_IPV6_FIREWALL_CONTROL } from "../../../../src/protocols/upnp/firewall-service.ts";
import { encodeScpd } from "../../../../src/protocols/upnp/scpd.ts";
import { CALLER, IDENTITY, OWN_IPV6, Rig } from "./fixture.ts";

const SERVICE = "WANIPv6FirewallControl";
const ADD = {
  RemoteHost: "",
  RemotePort: 0,
  InternalClient: OWN_IPV6,
  InternalPort: 8080,
  Protocol: 6,
  LeaseTime: 600,
};
const DONE: Outcome = { ok: true, seq: 1, changed: true, answer: { kind: "done" } };
const ADDED: Outcome = {
  ok: true,
  seq: 1,
  changed: true,
  answer: {
    kind: "mapped",
    mappingId: "m1",
    claimKey: "upnp:pinhole:4711",
    externalAddress: OWN_IPV6,
    externalPort: 8080,
    lifetime: 600,
  },
};
const refused = (code: ErrorCode): Outcome => ({ ok: false, refusal: { code, message: "no" } });

async function asked(rig: Rig, outcome: Outcome, action: string, args: object, service = SERVICE, version = 1) {
  const answer = rig.call(action, args as Record<string, string | number>, service, version);
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  if (rig.controller.submitted.length > 0) rig.controller.decideNext(outcome);
  return { command: rig.controller.submitted.pop(), said: await answer };
}

describe("WANIPv6FirewallControl", () => {
  it("[P9] is described to those of version 2 alone", () => {
    const typesOf = (version: 1 | 2): string => JSON.stringify(describeGateway(IDENTITY, version));
    expect(typesOf(2)).toContain(`service:${SERVICE}:1`);
    expect(typesOf(1)).not.toContain(SERVICE);
  });

  it("[P9] GetFirewallStatus tells what its events tell", async () => {
    const rig = new Rig();
    rig.firewall = { enabled: true, pinholes: false };
    const told = { FirewallEnabled: "1", InboundPinholeAllowed: "0" };
    expect(await rig.call("GetFirewallStatus", {}, SERVICE, 1)).toEqual(told);
    expect(await new EventedValues(rig.gateway, IDENTITY).of(SERVICE, CALLER)).toEqual(told);
  });

  it("[P9] AddPinhole asks the core, with what is known of the host, and says its number", async () => {
    const more = { RemoteHost: "2001:DB8:33:0::9", RemotePort: 5060 };
    expect(await asked(new Rig(), ADDED, "AddPinhole", { ...ADD, ...more })).toMatchObject({
      command: {
        type: "upnpPinhole",
        interface: "lan0",
        caller: CALLER.device,
        device: OWN_IPV6,
        host: CALLER.device,
        protocol: 6,
        internalPort: 8080,
        remoteHost: "2001:db8:33::9",
        remotePort: 5060,
        lifetime: 600,
      },
      said: { UniqueID: "4711" },
    });
    const other = await asked(new Rig(), ADDED, "AddPinhole", { ...ADD, InternalClient: "2001:db8:77::3" });
    expect(other.command).toMatchObject({ host: null, remoteHost: null, remotePort: null });
    // SOAP-07: js-libp2p asks another service for it.
    const alias = await asked(new Rig(), ADDED, "AddPinhole", ADD, "WANIPConnection", 2);
    expect(alias.said).toEqual({ UniqueID: "4711" });
  });

  it("[P9] PINH-01 PINH-02 answers what cannot be with the error that it has for it, and asks nobody", async () => {
    const numberOf = async (fields: object, rig = new Rig()) => {
      const { command, said } = await asked(rig, ADDED, "AddPinhole", { ...ADD, ...fields });
      expect(command).toBeUndefined();
      return said;
    };
    expect(await numberOf({ Protocol: 65_535 })).toBe(707);
    expect(await numberOf({ Protocol: 132 })).toBe(705);
    expect(await numberOf({ InternalPort: 0 })).toBe(706);
    expect(await numberOf({ LeaseTime: 0 })).toBe(601);
    expect(await numberOf({ LeaseTime: 86_401 })).toBe(601);
    expect(await numberOf({ InternalClient: "192.168.77.2" })).toBe(601);
    expect(await numberOf({ RemoteHost: "host.example" })).toBe(601);
    const closed = new Rig();
    closed.firewall = { enabled: true, pinholes: false };
    expect(await numberOf({}, closed)).toBe(703);
  });

  it.each([
    ["NOT_AUTHORIZED", 606],
    ["BLOCKED", 606],
    ["QUOTA_EXCEEDED", 701],
    ["EVENT_QUOTA_EXCEEDED", 701],
    ["NOT_SETTLED", 501],
  ] as const)("[P9] PINH-06 the core's %s is %d", async (code, number) => {
    expect((await asked(new Rig(), refused(code), "AddPinhole", ADD)).said).toBe(number);
  });

  it("[P9] changes and ends what is there, and says 704 of all else", async () => {
    const update = await asked(new Rig(), DONE, "UpdatePinhole", { UniqueID: 7, NewLeaseTime: 60 });
    expect(update).toMatchObject({
      command: { type: "upnpPinholeUpdate", uniqueId: 7, host: CALLER.device, lifetime: 60 },
      said: {},
    });
    const gone = await asked(new Rig(), DONE, "DeletePinhole", { UniqueID: 7 });
    expect(gone).toMatchObject({
      command: { type: "upnpPinholeDelete", uniqueId: 7, caller: CALLER.device },
      said: {},
    });
    expect((await asked(new Rig(), refused("NOT_FOUND"), "DeletePinhole", { UniqueID: 9 })).said).toBe(704);
    expect(await new Rig().call("GetPinholePackets", { UniqueID: 9 }, SERVICE, 1)).toBe(704);
  });

  it("[P9] does not say what it does not know", async () => {
    const rig = new Rig();
    expect(await rig.call("CheckPinholeWorking", { UniqueID: 7 }, SERVICE, 1), "nor offers it").toBe(401);
    expect(encodeScpd(WAN_IPV6_FIREWALL_CONTROL)).not.toContain("CheckPinholeWorking");
    expect(await rig.call("GetPinholePackets", { UniqueID: 7 }, SERVICE, 1)).toBe(501);
    const { LeaseTime: _lease, ...flow } = ADD;
    expect(await rig.call("GetOutboundPinholeTimeout", flow, SERVICE, 1)).toEqual({ OutboundPinholeTimeout: "120" });
    rig.flowTimeout = null;
    expect(await rig.call("GetOutboundPinholeTimeout", flow, SERVICE, 1)).toBe(501);
  });
});
