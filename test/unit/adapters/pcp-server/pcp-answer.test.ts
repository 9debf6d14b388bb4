import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { concat, flat, hex, patch, toHex } from "../../protocols/hex.ts";
import {
  ANNOUNCE_REPLY,
  ANNOUNCE_REPLY_SNI,
  ANNOUNCE_REQUEST,
  FILTER,
  FILTER_CLEAR,
  HOSTNAME,
  MAP_DELETE,
  MAP_REQUEST,
  MAP_SUCCESS,
  PEER_REQUEST,
  PORT_SET,
  PREFER_FAILURE,
  THIRD_PARTY,
  VERSION_ERROR,
} from "../../protocols/pcp/vectors.ts";
import { ask, commandOf, DONE, expectDropped, NOTHING_DONE, refusal, replied, settled } from "./exchanges.ts";
import { mapped } from "./fake-controller.ts";

/** The header of an error reply, RFC 6887 §7.2, epoch 100; `reserved` is what the request had there if not parsed. */
function errorHeader(opcode: string, result: string, lifetime: string, reserved = "00".repeat(12)): string {
  return `02${opcode}00${result}${lifetime}00000064${reserved}`;
}
const LONG = "00000708";
const SHORT = "0000001e";
/** Octets 12 to 23 of a request of 192.168.77.2. */
const CLIENT_END = flat("00000000 0000ffff c0a84d02");
const rest = (bytes: Uint8Array): string => toHex(bytes.subarray(24));
const resultOf = (bytes: Uint8Array): number => Number.parseInt(replied(bytes).slice(6, 8), 16);
const WITH_PREFERENCE = concat(MAP_REQUEST, PREFER_FAILURE);

describe("PCP server: reception", () => {
  it("PCP-S-02 PCP-S-04 says nothing to less than 2 octets, to a response, to less than a header", () => {
    expectDropped(new Uint8Array(0));
    expectDropped(hex("02"));
    expectDropped(MAP_SUCCESS);
    expectDropped(patch(MAP_REQUEST, 0, "0381"));
    for (let length = 2; length < 24; length += 1) expectDropped(MAP_REQUEST.subarray(0, length));
  });

  it("PCP-S-03 answers an unknown version with its own, whatever the length", () => {
    const request = patch(MAP_REQUEST, 0, "01");
    expect(replied(request)).toBe(errorHeader("81", "01", LONG, CLIENT_END) + rest(request));
    expect(replied(hex("0301"))).toBe(errorHeader("81", "01", LONG));
    expect(replied(hex("09000000 0000"))).toHaveLength(48);
  });

  it("PCP-S-03 answers NAT-PMP, where that is off, so that its clients read result 1", () => {
    expect(replied(hex("0000"), { natpmp: false })).toBe(toHex(VERSION_ERROR));
  });

  it("PCP-S-06 answers lengths that cannot be with a padded copy", () => {
    const long = concat(MAP_REQUEST, new Uint8Array(1048).fill(0xaa));
    expect(replied(long)).toBe(errorHeader("81", "03", LONG, CLIENT_END) + rest(long.subarray(0, 1100)));
    const odd = concat(MAP_REQUEST, hex("aa"));
    expect(replied(odd)).toBe(`${errorHeader("81", "03", LONG, CLIENT_END)}${rest(odd)}000000`);
    const short = MAP_REQUEST.subarray(0, 56);
    expect(replied(short)).toBe(errorHeader("81", "03", LONG, CLIENT_END) + rest(short));
  });

  it("PCP-S-06 finds the length wrong before the address", () => {
    expect(resultOf(patch(MAP_REQUEST, 23, "09").subarray(0, 56))).toBe(3);
  });

  it("PCP-S-07 compares the address for every opcode, before it looks at the opcode", () => {
    for (let opcode = 0; opcode < 128; opcode += 1) {
      const request = patch(patch(PEER_REQUEST, 23, "09"), 1, opcode.toString(16).padStart(2, "0"));
      expect(resultOf(request)).toBe(12);
    }
    expect(resultOf(patch(ANNOUNCE_REQUEST, 23, "09"))).toBe(12);
  });

  it("PCP-S-07 compares all 16 octets of the address", () => {
    expect(resultOf(patch(MAP_REQUEST, 8, "01"))).toBe(12);
    expect(resultOf(patch(MAP_REQUEST, 18, "0000"))).toBe(12);
  });

  it("PCP-S-08 PCP-S-61 refuses every opcode but ANNOUNCE and MAP, PEER too, of whatever length", () => {
    for (let opcode = 2; opcode < 128; opcode += 1) {
      const request = patch(PEER_REQUEST, 1, opcode.toString(16).padStart(2, "0"));
      const answered = (opcode | 0x80).toString(16);
      expect(replied(request)).toBe(errorHeader(answered, "04", LONG) + rest(request));
      expect(resultOf(request.subarray(0, 24))).toBe(4);
    }
  });

  it("answers nothing where both protocols are off", () => {
    expectDropped(MAP_REQUEST, { pcp: false, natpmp: false });
    expectDropped(hex("0000"), { pcp: false, natpmp: false });
  });
});

describe("PCP server: options", () => {
  it("PCP-S-16 finds nonsense in the framing malformed", () => {
    const request = concat(MAP_REQUEST, patch(PREFER_FAILURE, 2, "0004"));
    expect(replied(request)).toBe(errorHeader("81", "06", LONG, CLIENT_END) + rest(request));
    expect(resultOf(concat(MAP_REQUEST, patch(PORT_SET, 2, "00ff")))).toBe(6);
  });

  it("PCP-S-21 PCP-S-24 refuses THIRD_PARTY without looking inside", () => {
    expect(replied(concat(MAP_REQUEST, THIRD_PARTY))).toBe(
      errorHeader("81", "05", LONG) + rest(concat(MAP_REQUEST, THIRD_PARTY)),
    );
    expect(resultOf(concat(MAP_REQUEST, patch(THIRD_PARTY, 19, "02")))).toBe(5);
  });

  it("[P4] PCP-S-30 asks the controller for filters in their order, and echoes them so", () => {
    const narrow = patch(patch(FILTER, 5, "80"), 6, "13c4");
    const request = concat(MAP_REQUEST, FILTER_CLEAR, FILTER, narrow);
    expect(commandOf(request)).toMatchObject({
      filters: ["clear", { prefix: "11.22.33.0/24", port: null }, { prefix: "11.22.33.0/32", port: 5060 }],
    });
    const reply = toHex(concat(MAP_SUCCESS, FILTER_CLEAR, FILTER, narrow));
    expect(settled(request, mapped(true))).toBe(reply);
    expect(settled(request, mapped(false))).toBe(reply);
    expect(ask(request).request).toMatch(/ for 3600 s, 3 filters$/);
    // The network is meant, whatever host of it was written.
    expect(commandOf(concat(MAP_REQUEST, patch(FILTER, 20, "0b1621ff")))).toMatchObject({
      filters: [{ prefix: "11.22.33.0/24", port: null }],
    });
  });

  it("[P4] PCP-S-20 PCP-S-29 PCP-S-34 finds a filter that makes no sense malformed", () => {
    for (const length of ["01", "5f", "81", "ff"]) {
      expect(resultOf(concat(MAP_REQUEST, patch(FILTER, 5, length)))).toBe(6);
    }
    expect(resultOf(concat(MAP_REQUEST, patch(patch(FILTER, 8, "20010db8"), 5, "20")))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, patch(FILTER, 2, "0010")))).toBe(6);
    expect(resultOf(concat(MAP_DELETE, FILTER))).toBe(6);
    expect(resultOf(concat(MAP_DELETE, FILTER_CLEAR))).toBe(6);
    expect(resultOf(concat(ANNOUNCE_REQUEST, FILTER))).toBe(5);
  });

  it("[P4] PCP-S-31 tells a client that it named too many peers", () => {
    const request = concat(MAP_REQUEST, FILTER);
    expect(settled(request, refusal("TOO_MANY_FILTERS"))).toBe(errorHeader("81", "0d", LONG) + rest(request));
  });

  it("[P5] asks for a set of ports, and says which it is", () => {
    const request = concat(MAP_REQUEST, PORT_SET);
    expect(commandOf(request)).toMatchObject({ portSet: { size: 16, parity: false } });
    const set = (firstInternalPort: number, count: number): Outcome => {
      const outcome = mapped(true);
      if (!outcome.ok || outcome.answer.kind !== "mapped") throw new Error("not mapped");
      return { ...outcome, answer: { ...outcome.answer, set: { firstInternalPort, count } } };
    };
    expect(settled(request, set(8080, 12))).toBe(toHex(concat(MAP_SUCCESS, hex("82000005 000c1f90 00000000"))));
    expect(ask(concat(request, FILTER)).request).toMatch(/ for 3600 s, a filter, a set of 16$/);
    const parity = concat(MAP_REQUEST, patch(PORT_SET, 8, "01"));
    expect(commandOf(parity)).toMatchObject({ portSet: { parity: true } });
    expect(settled(parity, set(8080, 12))).toBe(toHex(concat(MAP_SUCCESS, hex("82000005 000c1f90 01000000"))));
    expect(settled(parity, set(8081, 12))).toBe(toHex(concat(MAP_SUCCESS, hex("82000005 000c1f91 00000000"))));
    // PCP-S-71: of one port nothing is said.
    expect(settled(request, mapped(true))).toBe(toHex(MAP_SUCCESS));
  });

  it("[P5] PCP-S-69 finds a set that makes no sense malformed, and says nothing of one in a delete", () => {
    expect(resultOf(concat(MAP_REQUEST, PORT_SET, PORT_SET))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, patch(PORT_SET, 4, "0000")))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, PORT_SET, PREFER_FAILURE))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, PREFER_FAILURE, PORT_SET))).toBe(6);
    expect(commandOf(concat(MAP_DELETE, PORT_SET, PORT_SET))).toMatchObject({ type: "unmap" });
    expect(settled(concat(MAP_DELETE, PORT_SET), DONE).slice(0, 8)).toBe("02810000");
    expect(settled(concat(MAP_DELETE, PORT_SET), DONE)).toHaveLength(120);
  });

  it("PCP-S-18 refuses every mandatory option it does not know, also in ANNOUNCE", () => {
    for (let code = 0; code < 128; code += 1) {
      if (code === 2 || code === 3) continue;
      const option = concat(Uint8Array.of(code), hex("000004 01020304"));
      expect(resultOf(concat(MAP_REQUEST, option))).toBe(5);
    }
    expect(resultOf(concat(ANNOUNCE_REQUEST, PREFER_FAILURE))).toBe(5);
    expect(resultOf(concat(ANNOUNCE_REQUEST, THIRD_PARTY))).toBe(5);
  });

  it("PCP-S-19 ignores optional options and echoes none of them", () => {
    expect(settled(concat(MAP_REQUEST, patch(PORT_SET, 0, "fe")), mapped(true))).toBe(toHex(MAP_SUCCESS));
    for (let code = 128; code < 256; code += 1) {
      if (code === 130 || code === 224) continue;
      expect(settled(concat(MAP_REQUEST, PORT_SET.with(0, code)), mapped(true))).toBe(toHex(MAP_SUCCESS));
    }
    expect(replied(concat(ANNOUNCE_REQUEST, HOSTNAME), { epoch: 7 })).toBe(toHex(ANNOUNCE_REPLY));
  });

  it("[P4] PCP-S-23 asks in the place of another where an operator lets the client, and echoes it", () => {
    const delegate = { asksForOthers: true };
    const request = concat(MAP_REQUEST, THIRD_PARTY);
    expect(commandOf(request, delegate)).toMatchObject({ device: "192.168.77.2", thirdParty: "192.168.77.9" });
    expect(settled(request, mapped(true), 100, delegate)).toBe(toHex(concat(MAP_SUCCESS, THIRD_PARTY)));
    expect(commandOf(concat(MAP_DELETE, THIRD_PARTY), delegate)).toMatchObject({ thirdParty: "192.168.77.9" });
    expect(settled(concat(MAP_DELETE, THIRD_PARTY), DONE, 100, delegate).slice(-40)).toBe(toHex(THIRD_PARTY));
    expect(settled(request, refusal("NOT_DELEGATED"), 100, delegate).slice(6, 8)).toBe("05");
    const twice = replied(concat(MAP_REQUEST, THIRD_PARTY, THIRD_PARTY), delegate);
    expect(twice.slice(6, 8)).toBe("06");
    expect(replied(concat(ANNOUNCE_REQUEST, THIRD_PARTY), delegate).slice(6, 8)).toBe("05");
    expect(replied(concat(MAP_REQUEST, hex("01000004 0a000001")), delegate).slice(6, 8)).toBe("06");
  });

  it("PCP-S-15 lets the first faulty option decide", () => {
    const nonsense = patch(PORT_SET, 2, "00ff");
    expect(resultOf(concat(MAP_REQUEST, THIRD_PARTY, nonsense))).toBe(5);
    expect(resultOf(concat(MAP_REQUEST, PREFER_FAILURE, PREFER_FAILURE, THIRD_PARTY))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, THIRD_PARTY, PREFER_FAILURE, PREFER_FAILURE))).toBe(5);
  });

  it("PCP-S-17 PCP-S-20 PCP-S-25 finds a PREFER_FAILURE that makes no sense malformed", () => {
    expect(resultOf(concat(WITH_PREFERENCE, PREFER_FAILURE))).toBe(6);
    expect(resultOf(concat(patch(MAP_DELETE, 42, "1f90"), PREFER_FAILURE))).toBe(6);
    expect(resultOf(patch(WITH_PREFERENCE, 42, "0000"))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, hex("02000004 00000000")))).toBe(6);
  });

  it("PCP-S-12 echoes PREFER_FAILURE and nothing else", () => {
    const unknown = patch(PORT_SET, 0, "fe");
    expect(settled(concat(MAP_REQUEST, unknown, PREFER_FAILURE), mapped(true))).toBe(
      toHex(concat(MAP_SUCCESS, PREFER_FAILURE)),
    );
  });

  it("asks for the names of HOSTNAME and echoes each as it was written, in a delete too", () => {
    const other = hex("e0000003 41624300");
    const asked = concat(MAP_REQUEST, HOSTNAME, other);
    expect(commandOf(asked)).toMatchObject({
      type: "map",
      names: [String.fromCharCode(...HOSTNAME.subarray(4)).replaceAll("\0", ""), "AbC"],
    });
    expect(settled(asked, mapped(true))).toBe(toHex(concat(MAP_SUCCESS, HOSTNAME, other)));
    expect(commandOf(concat(MAP_DELETE, other))).toMatchObject({ type: "unmap", names: ["AbC"] });
  });

  it("finds HOSTNAME with PORT_SET malformed, and one that is no text unsupported", () => {
    expect(resultOf(concat(MAP_REQUEST, HOSTNAME, PORT_SET))).toBe(6);
    expect(resultOf(concat(MAP_REQUEST, PORT_SET, HOSTNAME))).toBe(6);
    for (const option of ["e0000000", "e0000001 00000000", "e0000002 c3a40000"]) {
      expect(resultOf(concat(MAP_REQUEST, hex(option))), option).toBe(193);
    }
  });
});

describe("PCP server: MAP", () => {
  it("asks the controller for what the request says", () => {
    expect(commandOf(MAP_REQUEST)).toEqual({
      type: "map",
      by: "pcp",
      interface: "lan0",
      device: "192.168.77.2",
      clientPort: 50_000,
      protocol: 6,
      internalPort: 8080,
      suggestedPort: 8080,
      suggestedAddress: null,
      lifetime: 3600,
      nonce: "0102030405060708090a0b0c",
      preferFailure: false,
      filters: [],
      portSet: null,
    });
  });

  it("PCP-S-28 takes all-zeros of either family for no suggested address, and any other for one", () => {
    expect(commandOf(patch(WITH_PREFERENCE, 44, "00".repeat(16)))).toMatchObject({ suggestedAddress: null });
    expect(commandOf(patch(WITH_PREFERENCE, 56, "0b162101"))).toMatchObject({
      suggestedAddress: "11.22.33.1",
      preferFailure: true,
    });
    expect(commandOf(patch(MAP_REQUEST, 44, "20010db8"))).toMatchObject({ suggestedAddress: "2001:db8::ffff:0:0" });
  });

  it("takes no IPv4 address for an IPv6 host's suggestion of another family (RFC 6887 §11.1), and :: for none", () => {
    const host = { address: "2001:db8:77::2" };
    const ofHost = patch(WITH_PREFERENCE, 8, "20010db8007700000000000000000002");
    const asked = (external: string) => ask(patch(ofHost, 44, external), {}, host);
    const mapped = `${"00".repeat(10)}ffff`;
    expect(asked(`${mapped}00000000`)).toMatchObject({ command: { suggestedAddress: "0.0.0.0", preferFailure: true } });
    expect(asked(`${mapped}0b162101`)).toMatchObject({ command: { suggestedAddress: "11.22.33.1" } });
    expect(asked("00".repeat(16))).toMatchObject({ command: { suggestedAddress: null } });
  });

  it("PCP-S-12 PCP-S-47 answers success with exactly 60 octets: the request's fields, the assigned ones", () => {
    expect(settled(MAP_REQUEST, mapped(true))).toBe(toHex(MAP_SUCCESS));
    expect(settled(MAP_REQUEST, mapped(false, 9090))).toBe(toHex(patch(MAP_SUCCESS, 42, "2382")));
  });

  it("PCP-S-62 tells the epoch of the moment it answers, not of the moment it was asked", () => {
    expect(settled(MAP_REQUEST, mapped(true), 103).slice(16, 24)).toBe("00000067");
  });

  it("PCP-S-11 answers a refusal with the request as it was, suggestion and options included", () => {
    expect(settled(WITH_PREFERENCE, refusal("CANNOT_PROVIDE_EXTERNAL"))).toBe(
      errorHeader("81", "0b", SHORT) + rest(WITH_PREFERENCE),
    );
    expect(settled(MAP_REQUEST, refusal("QUOTA_EXCEEDED"))).toBe(errorHeader("81", "0a", SHORT) + rest(MAP_REQUEST));
  });

  it("PCP-S-38 tells the remaining lifetime of the mapping whose nonce was wrong", () => {
    expect(settled(MAP_REQUEST, refusal("NONCE_MISMATCH", 517))).toBe(
      errorHeader("81", "02", "00000205") + rest(MAP_REQUEST),
    );
  });

  it("PCP-S-46 says NETWORK_FAILURE for 30 s while there is no external address", () => {
    expect(settled(MAP_REQUEST, refusal("NO_EXTERNAL_ADDRESS"))).toBe(
      errorHeader("81", "07", SHORT) + rest(MAP_REQUEST),
    );
  });

  it("PCP-S-35 finds one port of all protocols malformed, also in a delete", () => {
    expect(resultOf(patch(MAP_REQUEST, 36, "00"))).toBe(3);
    expect(resultOf(patch(MAP_DELETE, 36, "00"))).toBe(3);
  });

  it("PCP-S-37 leaves whole protocols and hosts to the controller", () => {
    expect(commandOf(patch(patch(MAP_REQUEST, 36, "00"), 40, "0000"))).toMatchObject({ protocol: 0, internalPort: 0 });
    expect(commandOf(patch(MAP_REQUEST, 36, "84"))).toMatchObject({ protocol: 132 });
  });

  it("PCP-S-51 PCP-S-52 answers a delete with lifetime 0 and the suggested fields copied", () => {
    expect(commandOf(MAP_DELETE)).toEqual({
      type: "unmap",
      by: "pcp",
      interface: "lan0",
      device: "192.168.77.2",
      protocol: 6,
      internalPort: 8080,
      nonce: "0102030405060708090a0b0c",
    });
    const suggesting = patch(patch(MAP_DELETE, 42, "1234"), 56, "01020304");
    const success = flat("02810000 00000000 00000064 00000000 00000000 00000000");
    expect(settled(suggesting, DONE)).toBe(success + rest(suggesting));
    expect(settled(suggesting, NOTHING_DONE)).toBe(success + rest(suggesting));
  });

  it("answers NO_RESOURCES for 30 s and asks nothing while nothing can be promised", () => {
    expect(replied(MAP_REQUEST, { ready: false })).toBe(errorHeader("81", "08", SHORT) + rest(MAP_REQUEST));
    expect(replied(MAP_DELETE, { ready: false })).toBe(errorHeader("81", "08", SHORT) + rest(MAP_DELETE));
    expect(replied(ANNOUNCE_REQUEST, { ready: false })).toBe(errorHeader("80", "08", SHORT));
  });

  it("says in words what was asked and what came of it", () => {
    const said = ask(MAP_REQUEST);
    if (said.kind !== "ask") throw new Error("nothing asked");
    expect(said.request).toBe("MAP tcp 8080 → 8080 for 3600 s");
    expect(said.replyTo(mapped(true), 1)).toMatchObject({
      decision: "granted",
      code: null,
      message: "external 11.22.33.1:8080 for 3600 s",
    });
    expect(said.replyTo(mapped(false), 1).decision).toBe("renewed");
    expect(said.replyTo(refusal("BLOCKED"), 1)).toMatchObject({
      decision: "refused",
      code: "BLOCKED",
      message: "NOT_AUTHORIZED for 1800 s: because",
    });
    expect(ask(MAP_DELETE).request).toBe("MAP delete tcp 8080");
  });
});

describe("PCP server: ANNOUNCE", () => {
  it("PCP-S-64 answers with 24 octets", () => {
    expect(replied(ANNOUNCE_REQUEST, { epoch: 7 })).toBe(toHex(ANNOUNCE_REPLY));
  });

  it("marks the reply with option 225 only where ports can be shared by server name", () => {
    expect(replied(ANNOUNCE_REQUEST, { epoch: 7, sniAvailable: true })).toBe(toHex(ANNOUNCE_REPLY_SNI));
  });
});

describe("PCP server: size of replies", () => {
  it("PCP-S-76 never answers a PCP request with more octets than it had", () => {
    const requests = [
      MAP_REQUEST,
      MAP_DELETE,
      PEER_REQUEST,
      ANNOUNCE_REQUEST,
      WITH_PREFERENCE,
      concat(MAP_REQUEST, FILTER),
    ];
    for (const request of requests) {
      const said = ask(request);
      const outcomes = [mapped(true), DONE, refusal("NO_FREE_PORT")];
      const replies =
        said.kind === "ask"
          ? outcomes.map((outcome) => said.replyTo(outcome, 1))
          : said.kind === "reply"
            ? [said.reply]
            : [];
      expect(replies.length).toBeGreaterThan(0);
      for (const { bytes } of replies) expect(bytes.length).toBeLessThanOrEqual(request.length);
    }
  });
});
