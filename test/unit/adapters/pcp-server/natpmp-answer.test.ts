import { describe, expect, it } from "vitest";
import { concat, flat, hex, patch, toHex } from "../../protocols/hex.ts";
import {
  ADDRESS_REPLY,
  ADDRESS_REQUEST,
  MAP_TCP,
  MAP_TCP_REPLY,
  VERSION_ERROR,
} from "../../protocols/natpmp/vectors.ts";
import { MAP_REQUEST, MAP_SUCCESS } from "../../protocols/pcp/vectors.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { ask, commandOf, DONE, expectDropped, NOTHING_DONE, refusal, replied, settled } from "./exchanges.ts";
import { mapped } from "./fake-controller.ts";

const MAP_UDP = MAP_TCP.with(1, 1);
const DELETE_TCP = hex("00020000 1f901f90 00000000");
const DELETE_ALL_UDP = hex("00010000 00000000 00000000");
const granted = (lifetime: number) => {
  const outcome = mapped(true);
  if (!outcome.ok || outcome.answer.kind !== "mapped") throw new Error("not mapped");
  return { ...outcome, answer: { ...outcome.answer, lifetime } };
};

describe("NAT-PMP server", () => {
  it("answers the address request with 12 octets (RFC 6886 §3.2)", () => {
    expect(replied(ADDRESS_REQUEST)).toBe(toHex(ADDRESS_REPLY));
  });

  it("NPMP-S-02 says nothing to a response and returns an unknown opcode", () => {
    for (const opcode of [128, 129, 130, 255]) expectDropped(MAP_TCP.with(1, opcode));
    expect(replied(hex("0003"))).toBe("0083000500000064");
    expect(replied(hex("007f1234 01020304 05060708"))).toBe("00ff00050102030405060708");
  });

  it("NPMP-S-03 NPMP-S-05 asks for the sender's own port, of one protocol, with its suggestion", () => {
    const command = {
      type: "map",
      by: "natpmp",
      interface: "lan0",
      device: "192.168.77.2",
      clientPort: 50_000,
      protocol: 6,
      internalPort: 8080,
      suggestedPort: 8080,
      suggestedAddress: null,
      lifetime: 7200,
      nonce: null,
      preferFailure: false,
      filters: [],
      portSet: null,
    };
    expect(commandOf(MAP_TCP)).toEqual(command);
    expect(commandOf(MAP_UDP)).toEqual({ ...command, protocol: 17 });
    expect(commandOf(patch(MAP_TCP, 6, "0000"))).toMatchObject({ suggestedPort: 0 });
  });

  it("NPMP-S-06 NPMP-S-07 answers a map with 16 octets: the port and lifetime that were given", () => {
    expect(settled(MAP_TCP, granted(7200))).toBe(toHex(MAP_TCP_REPLY));
    expect(settled(MAP_UDP, granted(30))).toBe(flat("0081000000000064 1f901f90 0000001e"));
  });

  it("NPMP-S-09 answers a delete with external port and lifetime 0, also if nothing was there", () => {
    const command = { type: "unmap", by: "natpmp", interface: "lan0", device: "192.168.77.2", nonce: null };
    expect(commandOf(DELETE_TCP)).toEqual({ ...command, protocol: 6, internalPort: 8080 });
    expect(settled(DELETE_TCP, DONE)).toBe(flat("0082000000000064 1f900000 00000000"));
    expect(settled(DELETE_TCP, NOTHING_DONE)).toBe(flat("0082000000000064 1f900000 00000000"));
  });

  it("NPMP-S-10 answers a delete of an operator's mapping with result 2 and what was to be deleted", () => {
    expect(settled(DELETE_TCP, refusal("NOT_AUTHORIZED"))).toBe(flat("0082000200000064 1f901f90 00000000"));
  });

  it("NPMP-S-11 deletes all of one protocol, and only if both ports are 0", () => {
    expect(commandOf(DELETE_ALL_UDP)).toMatchObject({ type: "unmap", protocol: 17, internalPort: 0 });
    expect(commandOf(DELETE_ALL_UDP.with(1, 2))).toMatchObject({ type: "unmap", protocol: 6, internalPort: 0 });
    expect(settled(DELETE_ALL_UDP, DONE)).toBe(flat("0081000000000064 00000000 00000000"));
    expect(settled(DELETE_ALL_UDP, refusal("APPLY_FAILED"))).toBe(flat("0081000400000064 00000000 00000000"));
    expect(replied(patch(DELETE_ALL_UDP, 6, "1f90"))).toBe(flat("0081000200000064 00001f90 00000000"));
    expect(replied(patch(DELETE_ALL_UDP, 8, "00000e10"))).toBe(flat("0081000200000064 00000000 00000000"));
  });

  it("NPMP-S-11 answers a delete-all that had to leave an operator's mapping with result 2", () => {
    const outcome: Outcome = { ok: true, seq: 1, changed: true, answer: { kind: "done", kept: ["m1"] } };
    expect(settled(DELETE_ALL_UDP, outcome)).toBe(flat("0081000200000064 00000000 00000000"));
  });

  it("NPMP-S-12 answers a failed map with external port and lifetime 0", () => {
    expect(settled(MAP_TCP, refusal("NO_FREE_PORT"))).toBe(flat("0082000400000064 1f900000 00000000"));
    expect(settled(MAP_TCP, refusal("BLOCKED"))).toBe(flat("0082000200000064 1f900000 00000000"));
  });

  it("NPMP-S-13 tells the epoch of the moment it answers", () => {
    expect(settled(MAP_TCP, granted(7200), 0x01020304).slice(8, 16)).toBe("01020304");
  });

  it("NPMP-S-14 answers other versions, where PCP is off, with 8 octets and opcode 0", () => {
    expect(replied(MAP_REQUEST, { pcp: false })).toBe(toHex(VERSION_ERROR));
    expect(replied(patch(MAP_REQUEST, 0, "01"), { pcp: false })).toBe(toHex(VERSION_ERROR));
    expect(replied(hex("0500"), { pcp: false })).toBe(toHex(VERSION_ERROR));
    expectDropped(MAP_SUCCESS, { pcp: false });
  });

  it("NPMP-S-21 answers 3 and 0.0.0.0 while there is no external address", () => {
    expect(replied(ADDRESS_REQUEST, { externalAddress: null })).toBe("008000030000006400000000");
    expect(settled(MAP_TCP, refusal("NO_EXTERNAL_ADDRESS"))).toBe(flat("0082000300000064 1f900000 00000000"));
  });

  it("answers result 4 and asks nothing while nothing can be promised", () => {
    expect(replied(MAP_TCP, { ready: false })).toBe(flat("0082000400000064 1f900000 00000000"));
    expect(replied(DELETE_TCP, { ready: false })).toBe(flat("0082000400000064 1f901f90 00000000"));
    expect(replied(ADDRESS_REQUEST, { ready: false })).toBe("008000040000006400000000");
  });

  it("says nothing to a map request that is cut short and ignores what follows one", () => {
    for (let length = 2; length < 12; length += 1) expectDropped(MAP_TCP.subarray(0, length));
    expect(commandOf(concat(MAP_TCP, hex("ff")))).toEqual(commandOf(MAP_TCP));
  });

  it("says in words what was asked", () => {
    expect(ask(MAP_TCP).request).toBe("map tcp 8080 → 8080 for 7200 s");
    expect(ask(patch(MAP_UDP, 6, "0000")).request).toBe("map udp 8080 → any for 7200 s");
    expect(ask(DELETE_ALL_UDP).request).toBe("delete udp all");
  });
});
