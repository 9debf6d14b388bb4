import { describe, expect, it } from "vitest";
import { PROXY_PORTS } from "../../../src/lib/proxy-ports.ts";
import { tableGet, tableRows } from "../../../src/lib/table.ts";
import { event } from "../../../src/events/index.ts";
import {
  DEVICE,
  eventsOf,
  Gateway,
  mapped,
  NONCE,
  OTHER_DEVICE,
  OTHER_NONCE,
  portAdd,
  refusalOf,
  WAN_ADDRESS,
} from "./given.ts";

describe("decide map", () => {
  it("[P1] grants the suggested external port when it is free, for the asked lifetime", () => {
    const answer = mapped(new Gateway().map({ suggestedPort: 9000, lifetime: 3600 }));
    expect(answer).toMatchObject({ externalAddress: WAN_ADDRESS, externalPort: 9000, lifetime: 3600 });
  });

  it("[P1] PCP-S-42 gives another port when the suggestion is taken, protected or reserved", () => {
    const gateway = new Gateway({ protectedPorts: [22] });
    gateway.map({ device: OTHER_DEVICE, suggestedPort: 9000 });
    for (const [suggestedPort, internalPort] of [
      [9000, 5001],
      [22, 5002],
      [61000, 5003],
      [65535, 5004],
    ] as const) {
      expect(mapped(gateway.map({ suggestedPort, internalPort })).externalPort).toBe(internalPort);
    }
  });

  it("[P1] PCP-S-43 never hands out port control's own ports or a local listener's", () => {
    const gateway = new Gateway();
    gateway.append([event("listeners.observed", { listeners: [{ protocol: "tcp", port: 8080 }] })]);
    expect(mapped(gateway.map({ suggestedPort: 8080, internalPort: 8080 })).externalPort).not.toBe(8080);
    for (const port of [1900, 5350, 5351]) {
      const answer = mapped(gateway.map({ protocol: 17, suggestedPort: port, internalPort: port }));
      expect(answer.externalPort).not.toBe(port);
    }
    expect(mapped(gateway.map({ protocol: 17, suggestedPort: 8080 })).externalPort).toBe(8080);
    for (const port of PROXY_PORTS) {
      expect(mapped(gateway.map({ suggestedPort: port, internalPort: port })).externalPort).not.toBe(port);
      expect(mapped(gateway.map({ protocol: 17, suggestedPort: port, internalPort: port })).externalPort).toBe(port);
    }
  });

  it("[P12] PCP-S-40 a renewal appends nothing, keeps the port whatever is suggested, and moves the deadline", () => {
    const gateway = new Gateway();
    const first = mapped(gateway.map({ suggestedPort: 9000, lifetime: 600 }));
    gateway.later(300);
    const again = gateway.map({ suggestedPort: 9999, lifetime: 600 });
    expect(eventsOf(again)).toEqual([]);
    expect(mapped(again).externalPort).toBe(9000);
    expect(gateway.leases.deadlineOf(first.mappingId, `pcp:${NONCE}`)).toBe(gateway.now + 600_000);
  });

  it("[P12] a longer lifetime than the logged one is an event, since a crash gives back the logged one", () => {
    const gateway = new Gateway();
    gateway.map({ lifetime: 600 });
    expect(eventsOf(gateway.map({ lifetime: 7200 }))).toEqual(["lease.changed"]);
    expect(eventsOf(gateway.map({ lifetime: 7200 }))).toEqual([]);
    expect(eventsOf(gateway.map({ lifetime: 120 }))).toEqual([]);
  });

  it("[P1] PCP-S-50 keeps PCP lifetimes between the minimum and the maximum", () => {
    const gateway = new Gateway({ lifetime: { pcpMin: 120, max: 86400 } });
    expect(mapped(gateway.map({ lifetime: 1 })).lifetime).toBe(120);
    expect(mapped(gateway.map({ lifetime: 0xffffffff })).lifetime).toBe(86400);
  });

  it("[P8] NPMP-S-07 never lengthens a NAT-PMP lifetime and caps it", () => {
    const gateway = new Gateway();
    expect(mapped(gateway.map({ by: "natpmp", lifetime: 30 })).lifetime).toBe(30);
    expect(mapped(gateway.map({ by: "natpmp", internalPort: 81, lifetime: 999_999 })).lifetime).toBe(86400);
  });

  it("[P1] PCP-S-38 refuses another nonce on a strict network with the remaining lifetime", () => {
    const gateway = new Gateway();
    gateway.map({ lifetime: 600 });
    gateway.later(100);
    const refusal = refusalOf(gateway.map({ nonce: OTHER_NONCE }));
    expect(refusal).toEqual({ code: "NONCE_MISMATCH", retryAfter: 500 });
  });

  it("[P1] another nonce of the same host joins where same-host holds, and cannot end the first", () => {
    const gateway = new Gateway({}, "same-host");
    const first = mapped(gateway.map({ suggestedPort: 9000 }));
    const second = mapped(gateway.map({ nonce: OTHER_NONCE, suggestedPort: 9000 }));
    expect(second.mappingId).toBe(first.mappingId);
    gateway.unmap({ nonce: OTHER_NONCE });
    expect(gateway.state.mappings.size).toBe(1);
    gateway.unmap({ nonce: NONCE });
    expect(gateway.state.mappings.size).toBe(0);
  });

  it("keeps at most four nonces on one mapping and replaces the oldest", () => {
    const gateway = new Gateway({}, "same-host");
    const nonces = [1, 2, 3, 4, 5].map((digit) => String(digit).repeat(24));
    for (const nonce of nonces) mapped(gateway.map({ nonce, suggestedPort: 9000 }));
    const [mapping] = [...tableRows(gateway.state.mappings)];
    expect(mapping?.claims.map((claim) => claim.nonce)).toEqual(nonces.slice(1));
  });

  it("gives a host its second external port for a second nonce where same-host holds, in either order", () => {
    for (const order of [
      [80, 443],
      [443, 80],
    ] as const) {
      const gateway = new Gateway({}, "same-host");
      const first = mapped(gateway.map({ internalPort: 443, suggestedPort: order[0] }));
      const second = mapped(gateway.map({ internalPort: 443, suggestedPort: order[1], nonce: OTHER_NONCE }));
      expect([first.externalPort, second.externalPort]).toEqual(order);
    }
  });

  it("joins what a host has where same-host holds and a new nonce suggests a port that nobody gives it", () => {
    const gateway = new Gateway({ protectedPorts: [22] }, "same-host");
    const first = mapped(gateway.map({ suggestedPort: 22 }));
    for (const digit of [1, 2, 3]) {
      const again = gateway.map({ suggestedPort: 22, nonce: String(digit).repeat(24) });
      expect(mapped(again).externalPort).toBe(first.externalPort);
    }
    expect(gateway.state.mappings.size).toBe(1);
    const insisting = gateway.map({ suggestedPort: 22, nonce: OTHER_NONCE, preferFailure: true });
    expect(refusalOf(insisting).code).toBe("CANNOT_PROVIDE_EXTERNAL");
  });

  it("[P8] NPMP-S-06 the same port asked by PCP and by NAT-PMP is one mapping with two claims", () => {
    for (const order of [
      ["pcp", "natpmp"],
      ["natpmp", "pcp"],
    ] as const) {
      const gateway = new Gateway();
      const [first, second] = order.map((by) => mapped(gateway.map({ by, suggestedPort: 9000 })));
      expect(second?.mappingId).toBe(first?.mappingId);
      expect(second?.externalPort).toBe(first?.externalPort);
      gateway.unmap({ by: order[0] });
      expect(gateway.state.mappings.size).toBe(1);
      gateway.unmap({ by: order[1] });
      expect(gateway.state.mappings.size).toBe(0);
    }
  });

  it("[P1] PCP-S-44 TCP and UDP of one port are two mappings", () => {
    const gateway = new Gateway();
    gateway.map({ protocol: 6, suggestedPort: 9000 });
    gateway.map({ protocol: 17, suggestedPort: 9000 });
    gateway.unmap({ protocol: 6 });
    const left = [...tableRows(gateway.state.mappings)];
    expect(left.map((mapping) => mapping.protocol)).toEqual(["udp"]);
  });

  it("[P1] PCP-S-36 PCP-S-37 refuses other protocols and whole protocols", () => {
    const gateway = new Gateway();
    for (const fields of [{ protocol: 132 }, { protocol: 0, internalPort: 0 }, { protocol: 6, internalPort: 0 }]) {
      expect(refusalOf(gateway.map(fields)).code).toBe("UNSUPPORTED_PROTOCOL");
    }
  });

  it("[P1] PCP-S-26 PREFER_FAILURE gets exactly the suggestion or a refusal, also for its own existing mapping", () => {
    const gateway = new Gateway();
    expect(mapped(gateway.map({ suggestedPort: 9000, preferFailure: true })).externalPort).toBe(9000);
    expect(refusalOf(gateway.map({ suggestedPort: 9001, preferFailure: true })).code).toBe("CANNOT_PROVIDE_EXTERNAL");
    const other = { device: OTHER_DEVICE, suggestedPort: 9000, preferFailure: true };
    expect(refusalOf(gateway.map(other)).code).toBe("CANNOT_PROVIDE_EXTERNAL");
    const elsewhere = { internalPort: 1, suggestedPort: 9002, suggestedAddress: "11.22.33.9", preferFailure: true };
    expect(refusalOf(gateway.map(elsewhere)).code).toBe("CANNOT_PROVIDE_EXTERNAL");
  });

  it("[P1] PCP-S-66 keeps what a claim was made to insist on", () => {
    const gateway = new Gateway();
    const claimOf = (decision: ReturnType<Gateway["map"]>) =>
      tableGet(gateway.state.mappings, mapped(decision).mappingId)?.claims[0];
    const [port, address] = [9000, "11.22.33.1"];
    const exactly = { suggestedPort: port, preferFailure: true };
    expect(claimOf(gateway.map(exactly))?.insistsOn).toEqual({ address: null, port });
    expect(eventsOf(gateway.map(exactly))).toEqual([]);
    const another = { suggestedPort: 9001, suggestedAddress: address, internalPort: 8081, preferFailure: true };
    expect(claimOf(gateway.map(another))?.insistsOn).toEqual({ address, port: 9001 });
    expect(claimOf(gateway.map({ device: OTHER_DEVICE }))).not.toHaveProperty("insistsOn");
  });

  it("[P1] PCP-S-39 confirms an operator's static mapping and stores nothing of the request", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 9000, internalPort: 8080 }));
    const decision = gateway.map({ suggestedPort: 1234 });
    expect(eventsOf(decision)).toEqual([]);
    expect(mapped(decision)).toMatchObject({ externalPort: 9000, lifetime: 0xffffffff, claimKey: null });
    expect(refusalOf(gateway.unmap()).code).toBe("NOT_AUTHORIZED");
  });

  it("[P12] PCP-S-39 promises an operator's mapping that has an end no longer than until then", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 9000, internalPort: 8080, lifetime: 300 }));
    gateway.later(100);
    expect(mapped(gateway.map({ lifetime: 7200 })).lifetime).toBe(200);
    expect(mapped(gateway.map({ by: "natpmp", lifetime: 7200 })).lifetime).toBe(200);
    expect(mapped(gateway.map({ by: "natpmp", lifetime: 60 })).lifetime).toBe(60);
  });

  it("[P1] PCP-S-46 refuses while the WAN has no public address", () => {
    const gateway = new Gateway();
    for (const address of ["10.0.0.2/8", "100.64.3.2/10", "169.254.1.1/16", "203.0.113.5/24"]) {
      gateway.append([event("interface.observed", { name: "wan0", up: true, addresses: [address], gateway: null })]);
      expect(refusalOf(gateway.map()).code).toBe("NO_EXTERNAL_ADDRESS");
    }
  });

  it("[P11] PCP-S-45 a quota stops new mappings and no renewal", () => {
    const gateway = new Gateway({
      perDevice: { mappings: 2, ports: 10, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 512 },
    });
    gateway.map({ internalPort: 2001 });
    gateway.map({ internalPort: 2002 });
    expect(refusalOf(gateway.map({ internalPort: 2003 })).code).toBe("QUOTA_EXCEEDED");
    expect(mapped(gateway.map({ internalPort: 2001 })).lifetime).toBe(3600);
    expect(mapped(gateway.map({ device: OTHER_DEVICE, internalPort: 2003 })).externalPort).toBe(2003);
  });

  it("[P11] the event bucket refuses without an event and refills", () => {
    const limits = { mappings: 256, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 3 };
    const gateway = new Gateway({ perDevice: limits });
    for (const internalPort of [2001, 2002, 2003]) mapped(gateway.map({ internalPort }));
    expect(refusalOf(gateway.map({ internalPort: 2004 })).code).toBe("EVENT_QUOTA_EXCEEDED");
    // A renewal is never refused; it gets no longer a life than it had.
    expect(mapped(gateway.map({ internalPort: 2001, lifetime: 86400 })).lifetime).toBe(3600);
    gateway.later(3);
    expect(mapped(gateway.map({ internalPort: 2004 })).externalPort).toBe(2004);
  });

  it("[P1] PCP-S-55 keeps a freed port from other hosts, not from the same one nor for ever", () => {
    const gateway = new Gateway({ quarantine: 120 });
    gateway.map({ suggestedPort: 9000 });
    gateway.unmap();
    expect(mapped(gateway.map({ device: OTHER_DEVICE, suggestedPort: 9000, internalPort: 1 })).externalPort).not.toBe(
      9000,
    );
    expect(mapped(gateway.map({ suggestedPort: 9000, internalPort: 2 })).externalPort).toBe(9000);
    gateway.unmap({ internalPort: 2 });
    gateway.later(121);
    expect(mapped(gateway.map({ device: OTHER_DEVICE, suggestedPort: 9000, internalPort: 3 })).externalPort).toBe(9000);
  });

  it("[P8] NPMP-S-04 keeps the companion port of the other protocol for the NAT-PMP client", () => {
    const gateway = new Gateway();
    gateway.map({ by: "natpmp", protocol: 6, suggestedPort: 9000 });
    const other = mapped(gateway.map({ device: OTHER_DEVICE, protocol: 17, suggestedPort: 9000, internalPort: 1 }));
    expect(other.externalPort).not.toBe(9000);
    expect(mapped(gateway.map({ by: "natpmp", protocol: 17, suggestedPort: 9000 })).externalPort).toBe(9000);
  });

  it("[P11] refuses an interface that is not served", () => {
    expect(refusalOf(new Gateway().map({ interface: "wan0" })).code).toBe("NOT_AUTHORIZED");
  });
});

describe("decide unmap", () => {
  it("[P1] PCP-S-52 deleting what is not there succeeds and appends nothing", () => {
    expect(eventsOf(new Gateway().unmap())).toEqual([]);
  });

  it("[P1] PCP-S-38 refuses another nonce's delete", () => {
    const gateway = new Gateway();
    gateway.map();
    expect(refusalOf(gateway.unmap({ nonce: OTHER_NONCE })).code).toBe("NONCE_MISMATCH");
  });

  it("[P1] deletes all of a protocol, or all, of this host and nonce only", () => {
    const gateway = new Gateway();
    gateway.map({ internalPort: 2001 });
    gateway.map({ internalPort: 2002 });
    gateway.map({ protocol: 17, internalPort: 2001 });
    gateway.map({ internalPort: 2003, nonce: OTHER_NONCE });
    gateway.map({ device: OTHER_DEVICE, internalPort: 2001 });
    gateway.unmap({ protocol: 6, internalPort: 0 });
    expect(gateway.state.mappings.size).toBe(3);
    gateway.unmap({ protocol: 0, internalPort: 0 });
    expect(gateway.state.mappings.size).toBe(2);
  });

  it("[P8] NPMP-S-11 delete-all touches only this client's NAT-PMP claims of that protocol", () => {
    const gateway = new Gateway();
    gateway.map({ by: "natpmp", internalPort: 2001 });
    gateway.map({ by: "pcp", internalPort: 2002 });
    gateway.map({ by: "natpmp", protocol: 17, internalPort: 2001 });
    gateway.map({ by: "natpmp", device: OTHER_DEVICE, internalPort: 2003 });
    gateway.unmap({ by: "natpmp", internalPort: 0 });
    expect(gateway.state.mappings.size).toBe(3);
  });

  it("[P8] NPMP-S-11 delete-all deletes what it may and says what an operator's hand keeps", () => {
    const gateway = new Gateway();
    gateway.do(portAdd({ externalPort: 9000, internalPort: 9000 }));
    gateway.do(portAdd({ externalPort: 9001, internalPort: 9001, internalAddress: OTHER_DEVICE }));
    gateway.map({ by: "natpmp", internalPort: 2001 });
    const tcp = gateway.unmap({ by: "natpmp", internalPort: 0 });
    expect(eventsOf(tcp)).toEqual(["lease.released"]);
    const [kept] = [...tableRows(gateway.state.mappings)].filter((mapping) => mapping.internalAddress === DEVICE);
    expect(tcp.ok && tcp.answer).toEqual({ kind: "done", kept: [kept?.id] });
    const udp = gateway.unmap({ by: "natpmp", protocol: 17, internalPort: 0 });
    expect(udp.ok && udp.answer).toEqual({ kind: "done" });
    const pcp = gateway.unmap({ internalPort: 0 });
    expect(pcp.ok && pcp.answer).toEqual({ kind: "done" });
  });

  it("[P11] a device cannot end another device's mapping", () => {
    const gateway = new Gateway();
    gateway.map();
    gateway.unmap({ device: OTHER_DEVICE });
    expect(gateway.state.mappings.size).toBe(1);
    expect([...tableRows(gateway.state.usages)].map((row) => row.address)).toEqual([DEVICE]);
  });
});
