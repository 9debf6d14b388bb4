import { describe, expect, it } from "vitest";
import { concat, flat, hex, patch, toHex } from "../../protocols/hex.ts";
import { FILTER, MAP_REQUEST, PREFER_FAILURE } from "../../protocols/pcp/vectors.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { emptyTable } from "../../../../src/lib/table.ts";
import { CLIENT, Fixture, LAN0, LAN1, NONCE, recordOf } from "./fixture.ts";

const GROUP = "224.0.0.1:5350";
const ALL_SENDS = 127_750;
const isPcp = (bytes: string): boolean => bytes.startsWith("02");
const pcpOf = (fixture: Fixture, address = LAN0.address): string[] => fixture.sentTo(GROUP, address).filter(isPcp);
const natPmpOf = (fixture: Fixture, address = LAN0.address): string[] =>
  fixture.sentTo(GROUP, address).filter((bytes) => !isPcp(bytes));

/** Past the announcements of the start. */
async function quiet(change = {}): Promise<Fixture> {
  const fixture = new Fixture(change);
  await fixture.server.serve([LAN0, LAN1]);
  await fixture.advance(200_000);
  for (const { sent } of fixture.sockets.opened) sent.length = 0;
  return fixture;
}

describe("announcements", () => {
  it("NPMP-S-15 say the external address ten times at each start, the epoch moving on", async () => {
    const fixture = new Fixture();
    await fixture.server.serve([LAN0]);
    await fixture.advance(ALL_SENDS);
    const sent = natPmpOf(fixture);
    expect(sent).toHaveLength(10);
    expect(sent[0]).toBe(flat("00800000 0000044c 0b162101"));
    expect(sent[9]).toBe(flat("00800000 000004cb 0b162101"));
  });

  it("PCP-S-67 say nothing of PCP at a start that lost nothing", async () => {
    const fixture = new Fixture();
    await fixture.server.serve([LAN0]);
    await fixture.advance(ALL_SENDS);
    expect(pcpOf(fixture)).toEqual([]);
  });

  it("PCP-S-65 say an ANNOUNCE ten times at a start with a new epoch", async () => {
    const fixture = new Fixture({ epochs: { lan0: { startedAt: 1_999_000, reason: "salvaged" } } });
    await fixture.server.serve([LAN0]);
    await fixture.advance(ALL_SENDS);
    const sent = pcpOf(fixture);
    expect(sent).toHaveLength(10);
    expect(sent[0]).toBe(flat("0280000000000000 00000001") + "00".repeat(12));
    expect(sent[9]).toBe(flat("0280000000000000 00000080") + "00".repeat(12));
  });

  it("PCP-S-63 PCP-S-65 NPMP-S-15 say both on every served link when the epoch is reset", async () => {
    const fixture = await quiet();
    const epoch = { startedAt: fixture.clock.now(), reason: "salvaged" };
    fixture.controller.publish({ epochs: { lan0: epoch, lan1: epoch } });
    await fixture.advance(ALL_SENDS);
    for (const address of [LAN0.address, LAN1.address]) {
      expect(pcpOf(fixture, address)).toHaveLength(10);
      expect(natPmpOf(fixture, address)).toHaveLength(10);
      expect(natPmpOf(fixture, address)[0]).toBe(flat("00800000 00000000 0b162101"));
    }
  });

  it("NPMP-S-15 say the address when the WAN gets one, and nothing while it has none", async () => {
    const fixture = await quiet({ wanAddresses: {} });
    await fixture.advance(ALL_SENDS);
    expect(fixture.sentTo(GROUP)).toEqual([]);
    const { topologyRevision } = fixture.controller.state;
    fixture.controller.publish({
      topologyRevision: topologyRevision + 1,
      wanAddresses: { wan0: { reported: "11.22.33.9", matched: "11.22.33.9" } },
    });
    await fixture.advance(ALL_SENDS);
    expect(natPmpOf(fixture)).toHaveLength(10);
    expect(natPmpOf(fixture)[0]?.slice(16)).toBe("0b162109");
    expect(pcpOf(fixture)).toEqual([]);
  });

  it("start over when the address changes again, and then say the new one only", async () => {
    const fixture = await quiet();
    fixture.moveWan("11.22.33.5");
    await fixture.advance(1000);
    fixture.moveWan("11.22.33.6");
    await fixture.advance(ALL_SENDS);
    const addresses = natPmpOf(fixture).map((bytes) => bytes.slice(16));
    expect(addresses.filter((address) => address === "0b162105")).toHaveLength(3);
    expect(addresses.filter((address) => address === "0b162106")).toHaveLength(10);
  });

  it("say nothing after commits that change neither epoch nor address", async () => {
    const fixture = await quiet();
    fixture.controller.publish({ topologyRevision: fixture.controller.state.topologyRevision + 1 });
    fixture.controller.publish({ listenersRevision: 7 });
    await fixture.advance(ALL_SENDS);
    expect(fixture.sentTo(GROUP)).toEqual([]);
  });

  it("NPMP-S-16 say nothing of a protocol that is off, and nothing in safe mode", async () => {
    const fixture = await quiet();
    const { settings } = fixture.controller.state;
    fixture.controller.publish({ settings: { ...settings, portControl: { ...settings.portControl, natpmp: false } } });
    fixture.moveWan("11.22.33.5");
    await fixture.advance(1000);
    expect(natPmpOf(fixture)).toEqual([]);
    expect(pcpOf(fixture)).toHaveLength(3);
    fixture.controller.mode = "safe";
    await fixture.advance(ALL_SENDS);
    expect(pcpOf(fixture)).toHaveLength(3);
  });
});

describe("clients with a WAN of their own", () => {
  const alone = (fixture: Fixture, address = LAN0.address): string[] =>
    fixture.sentTo(`${CLIENT.address}:5350`, address).map((bytes) => (isPcp(bytes) ? "pcp" : bytes.slice(16)));

  it("[W6] on a LAN are told their address after everybody was told another, on their link alone", async () => {
    const fixture = new Fixture();
    fixture.ownAddresses.set(CLIENT.address, "11.22.33.9");
    await fixture.server.serve([LAN0, LAN1]);
    await fixture.advance(ALL_SENDS);
    expect(natPmpOf(fixture)).toHaveLength(10);
    expect(alone(fixture)).toEqual(Array.from({ length: 10 }, () => "0b162109"));
    expect(fixture.sockets.at(LAN0.address).sent.map(({ to }) => to)).toEqual(
      Array.from({ length: 10 }, () => [GROUP, `${CLIENT.address}:5350`]).flat(),
    );
    expect(alone(fixture, LAN1.address)).toEqual([]);
  });

  it("[P13] on a tunnel are told all by unicast, and nothing is multicast", async () => {
    const fixture = await quiet();
    fixture.tunnels.add("lan0");
    fixture.ownAddresses.set(CLIENT.address, "11.22.33.9");
    const epoch = { startedAt: fixture.clock.now(), reason: "salvaged" };
    fixture.controller.publish({ epochs: { lan0: epoch, lan1: epoch } });
    await fixture.advance(ALL_SENDS);
    expect(fixture.sentTo(GROUP)).toEqual([]);
    expect(alone(fixture).filter((what) => what === "pcp")).toHaveLength(10);
    expect(alone(fixture).filter((what) => what === "0b162109")).toHaveLength(10);
    expect(natPmpOf(fixture, LAN1.address)).toHaveLength(10);
  });

  it("[W6] are told again when their WAN becomes another", async () => {
    const fixture = await quiet();
    fixture.ownAddresses.set(CLIENT.address, "11.22.33.9");
    fixture.controller.publish({ devices: emptyTable() });
    await fixture.advance(ALL_SENDS);
    expect(alone(fixture)).toHaveLength(10);
    expect(natPmpOf(fixture, LAN1.address)).toEqual([]);
  });
});

/** RFC 6887 §11.1: TCP 8080, 590 s left, new epoch, new address 11.22.33.5. */
const UPDATE = patch(
  hex(`
  02810000 00000258 00000000 00000000 00000000 00000000
  01020304 05060708 090a0b0c 06000000 1f901f90 00000000 00000000 0000ffff 0b162105`),
  4,
  "0000024e",
);

describe("mapping updates after an address change", () => {
  const heardAgain: Outcome = {
    ok: true,
    seq: 1,
    changed: false,
    answer: {
      kind: "mapped",
      mappingId: "m000000001f90",
      claimKey: `pcp:${NONCE}`,
      externalAddress: "11.22.33.1",
      externalPort: 8080,
      lifetime: 3600,
    },
  };

  it("PCP-S-66 tell a client's PCP mapping to the port its claim was made from, three times", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    await fixture.advance(10_000);
    fixture.moveWan("11.22.33.5");
    await fixture.advance(0);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toEqual([Buffer.from(UPDATE).toString("hex")]);
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(3);
    expect(fixture.sentTo(`${CLIENT.address}:40000`, LAN1.address)).toEqual([]);
  });

  it("PCP-S-66 say the filters of a claim and the size of a set, and no more", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080], NONCE, {
      count: 12,
      filters: [
        { prefix: "11.22.33.0/24", port: null },
        { prefix: "11.22.33.0/32", port: 5060 },
      ],
    });
    fixture.moveWan("11.22.33.5");
    await fixture.advance(0);
    const narrow = patch(patch(FILTER, 5, "80"), 6, "13c4");
    const expected = concat(UPDATE, FILTER, narrow, hex("82000005 000c1f90 00000000"));
    const [update = ""] = fixture.sentTo(`${CLIENT.address}:40000`);
    expect(update.slice(48)).toBe(toHex(expected).slice(48));
  });

  it("PCP-S-66 say which name it is, so that the client does not take it for its whole port", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080], NONCE, { name: "nas.example" });
    fixture.moveWan("11.22.33.5");
    await fixture.advance(0);
    const [update = ""] = fixture.sentTo(`${CLIENT.address}:40000`);
    expect(update.slice(120)).toBe("e000000b6e61732e6578616d706c6500");
  });

  it("PCP-S-66 say CANNOT_PROVIDE_EXTERNAL to who insists on what its mapping had, with what it asked for", async () => {
    const insisting = async (insistsOn: { address: string | null; port: number }) => {
      const fixture = await quiet();
      const filters = [{ prefix: "11.22.33.0/24", port: null }];
      fixture.giveMappings([8080], NONCE, { insistsOn, filters });
      fixture.moveWan("11.22.33.5");
      await fixture.advance(10_000);
      const told = fixture.sentTo(`${CLIENT.address}:40000`);
      expect(told).toHaveLength(3);
      return told[0];
    };
    const error = hex(`
      0281000b 0000001e 00000000 00000000 00000000 00000000
      01020304 05060708 090a0b0c 06000000 1f901f90 00000000 00000000 0000ffff 0b162101`);
    const filter = patch(FILTER, 5, "78");
    const exactly = concat(error, PREFER_FAILURE, filter);
    expect(await insisting({ address: "11.22.33.1", port: 8080 })).toBe(toHex(exactly));
    // Any address of ours will do; an operator gave it another port.
    const elsewhere = concat(patch(patch(error, 42, "2328"), 56, "00000000"), PREFER_FAILURE, filter);
    expect(await insisting({ address: null, port: 9000 })).toBe(toHex(elsewhere));
    expect((await insisting({ address: null, port: 8080 }))?.slice(0, 8)).toBe("02810000");
  });

  it("PCP-S-73 tell of a mapping that was renewed by a request for a set, to the port it came from", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080, 8081]);
    fixture.sockets.at(LAN0.address).arrive(MAP_REQUEST, CLIENT);
    const touched = [{ mappingId: "m000000001f91", claimKey: `pcp:${NONCE}` }];
    if (!heardAgain.ok || heardAgain.answer.kind !== "mapped") throw new Error("not mapped");
    fixture.controller.decideNext({ ...heardAgain, answer: { ...heardAgain.answer, touched } });
    await fixture.advance(10_000);
    const told = fixture.sentTo(`${CLIENT.address}:${CLIENT.port}`);
    // The answer, and then three times the other: port 8081.
    expect(told.map((bytes) => bytes.slice(80, 84))).toEqual(["1f90", "1f91", "1f91", "1f91"]);
  });

  it("PCP-S-66 go to the port of the last renewal", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    fixture.sockets.at(LAN0.address).arrive(MAP_REQUEST, CLIENT);
    fixture.controller.decideNext(heardAgain);
    await fixture.rest();
    for (const { sent } of fixture.sockets.opened) sent.length = 0;
    fixture.moveWan("11.22.33.5");
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:${CLIENT.port}`)).toHaveLength(3);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toEqual([]);
  });

  it("PCP-S-66 stop once the client has refreshed", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    fixture.moveWan("11.22.33.5");
    await fixture.advance(300);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(2);
    fixture.sockets.at(LAN0.address).arrive(MAP_REQUEST, CLIENT);
    fixture.controller.decideNext(heardAgain);
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(2);
  });

  it("forget the port of a claim that ended: the same claim made again starts from its event", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    fixture.sockets.at(LAN0.address).arrive(MAP_REQUEST, CLIENT);
    fixture.controller.decideNext(heardAgain);
    await fixture.rest();
    const ended = { mappingId: "m000000001f90", claimKey: `pcp:${NONCE}` };
    fixture.controller.publish({}, [recordOf("lease.expired", ended)]);
    fixture.giveMappings([8080]);
    fixture.moveWan("11.22.33.5");
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(3);
  });

  it("are not sent before the kernel follows the change, and never if it does not", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    let settled = (): void => undefined;
    fixture.controller.settle = new Promise((resolve) => {
      settled = resolve;
    });
    fixture.moveWan("11.22.33.5");
    await fixture.advance(1000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toEqual([]);
    settled();
    await fixture.advance(0);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(1);

    const unlucky = await quiet();
    unlucky.giveMappings([8080]);
    unlucky.controller.settle = Promise.reject(new Error("not in time"));
    unlucky.moveWan("11.22.33.5");
    await unlucky.advance(10_000);
    expect(unlucky.sentTo(`${CLIENT.address}:40000`)).toEqual([]);
    expect(unlucky.warnings).toEqual(["mapping updates not sent: the new address is not settled"]);
  });

  it("PCP-S-66 wait for the client's link: the address may change while it is not served, as before a start", async () => {
    const fixture = new Fixture();
    fixture.giveMappings([8080]);
    fixture.moveWan("11.22.33.5");
    await fixture.advance(10_000);
    await fixture.server.serve([LAN1]);
    await fixture.advance(1000);
    await fixture.server.serve([LAN0, LAN1]);
    await fixture.advance(10_000);
    const [first, ...more] = fixture.sentTo(`${CLIENT.address}:40000`);
    expect(first?.slice(-8)).toBe("0b162105");
    expect(more).toHaveLength(2);
    await fixture.server.serve([LAN1]);
    await fixture.server.serve([LAN0, LAN1]);
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(0);
  });

  it("say nothing when the WAN gets back the address it had", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    fixture.controller.publish({ topologyRevision: fixture.controller.state.topologyRevision + 1 });
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toEqual([]);
  });

  it("[W6] tell what an operator's edit made of the external side, and nothing of a new label", async () => {
    const fixture = await quiet();
    fixture.giveMappings([8080]);
    await fixture.advance(1000);
    const edited = (fields: object): void =>
      fixture.controller.publish({}, [recordOf("mapping.changed", { id: "m000000001f90", ...fields })]);
    edited({ label: "web" });
    await fixture.advance(10_000);
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toEqual([]);
    for (const fields of [{ wan: "wan1" }, { externalPort: 9000 }]) {
      edited(fields);
      await fixture.advance(10_000);
    }
    expect(fixture.sentTo(`${CLIENT.address}:40000`)).toHaveLength(6);
  });
});
