import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PcpDecodeError } from "../../../../src/protocols/pcp/error.ts";
import { encodeRequest } from "../../../../src/protocols/pcp/request.ts";
import { decodeResponse, encodeError, encodeSuccess } from "../../../../src/protocols/pcp/response.ts";
import { errorLifetimeSec, PCP_RESULT, type PcpErrorName } from "../../../../src/protocols/pcp/result.ts";
import { concat, hex, patch, toHex } from "../hex.ts";
import { decodeMutations } from "../mutation.ts";
import { body, option } from "./arbitraries.ts";
import {
  ANNOUNCE_REPLY,
  ANNOUNCE_REPLY_SNI,
  MAP_REQUEST,
  MAP_SUCCESS,
  PREFER_FAILURE,
  VERSION_ERROR,
} from "./vectors.ts";

const map = {
  kind: "map",
  nonce: "0102030405060708090a0b0c",
  protocol: 6,
  internalPort: 8080,
  externalPort: 8080,
  externalAddress: "11.22.33.1",
} as const;
const ERRORS = Object.keys(PCP_RESULT).filter((name) => name !== "SUCCESS") as PcpErrorName[];
const dropped = (bytes: Uint8Array): boolean => {
  try {
    decodeResponse(bytes);
    return false;
  } catch (cause) {
    return cause instanceof PcpDecodeError && cause.reason === "drop";
  }
};

describe("PCP response codec", () => {
  it("reads and writes the MAP success vector of RFC 6887 §11.1, exactly 60 octets", () => {
    const success = { lifetime: 3600, epoch: 100, body: map, options: [] };
    expect(toHex(encodeSuccess(success))).toBe(toHex(MAP_SUCCESS));
    expect(decodeResponse(MAP_SUCCESS)).toEqual({ version: 2, opcode: 1, result: 0, ...success });
  });

  it("reads and writes the ANNOUNCE reply, with and without the capability option", () => {
    const success = { lifetime: 0, epoch: 7, body: { kind: "announce" }, options: [] } as const;
    expect(toHex(encodeSuccess(success))).toBe(toHex(ANNOUNCE_REPLY));
    const options = [{ kind: "opaque", code: 225, data: hex("53393b01") }] as const;
    expect(toHex(encodeSuccess({ ...success, options }))).toBe(toHex(ANNOUNCE_REPLY_SNI));
    expect(decodeResponse(ANNOUNCE_REPLY_SNI).options).toEqual(options);
  });

  it("gives back any success it has encoded", () => {
    const any = fc.record({
      lifetime: fc.nat(0xffffffff),
      epoch: fc.nat(0xffffffff),
      body,
      options: fc.array(option, { maxLength: 5 }),
    });
    fc.assert(
      fc.property(any, (success) => {
        expect(decodeResponse(encodeSuccess(success))).toMatchObject(success);
      }),
    );
  });

  it("PCP-S-11 gives back body, result, lifetime and epoch of any error made from a request", () => {
    const any = fc.record({ body, result: fc.constantFrom(...ERRORS), lifetime: fc.nat(1800), epoch: fc.nat(9999) });
    fc.assert(
      fc.property(any, ({ body: asked, result, lifetime, epoch }) => {
        const request = encodeRequest({ lifetime: 60, clientAddress: "192.168.77.2", body: asked, options: [] });
        const reply = encodeError(request, { result, lifetime, epoch });
        expect(reply.length).toBe(request.length);
        expect(decodeResponse(reply)).toMatchObject({ result: PCP_RESULT[result], lifetime, epoch, body: asked });
      }),
    );
  });

  it("PCP-S-11 copies options of a refused request and clears the reserved field only if it was parsed", () => {
    const request = concat(MAP_REQUEST, PREFER_FAILURE);
    const parsed = encodeError(request, { result: "CANNOT_PROVIDE_EXTERNAL", lifetime: 30, epoch: 100 });
    const kept = toHex(request.subarray(24));
    expect(toHex(parsed)).toBe(toHex(hex("0281000b 0000001e 00000064 00000000 00000000 00000000")) + kept);
    const unparsed = encodeError(request, { result: "MALFORMED_OPTION", lifetime: 1800, epoch: 100 });
    expect(toHex(unparsed)).toBe(toHex(hex("02810006 00000708 00000064 00000000 0000ffff c0a84d02")) + kept);
  });

  it("PCP-S-03 answers a NAT-PMP request as a server that knows PCP alone", () => {
    expect(toHex(encodeError(hex("0000"), { result: "UNSUPP_VERSION", lifetime: 1800, epoch: 100 }))).toBe(
      toHex(VERSION_ERROR),
    );
  });

  it("PCP-S-06 cuts an error at 1100 octets and pads it to a multiple of 4", () => {
    const error = { result: "MALFORMED_REQUEST", lifetime: 1800, epoch: 1 } as const;
    expect(encodeError(concat(MAP_REQUEST, new Uint8Array(2000).fill(7)), error).length).toBe(1100);
    const padded = encodeError(concat(MAP_REQUEST, Uint8Array.of(7)), error);
    expect(toHex(padded.subarray(60))).toBe("07000000");
  });

  it("RFC 6887 §7.4: says 30 s for what passes by itself and 1800 s for what does not", () => {
    const short = ERRORS.filter((name) => errorLifetimeSec(name) === 30);
    expect(short).toEqual([
      "NETWORK_FAILURE",
      "NO_RESOURCES",
      "USER_EX_QUOTA",
      "CANNOT_PROVIDE_EXTERNAL",
      "HOSTNAME_TAKEN",
    ]);
    expect(ERRORS.filter((name) => errorLifetimeSec(name) === 1800)).toHaveLength(ERRORS.length - 5);
  });

  it("PCP-C-08 drops what a client must ignore", () => {
    expect(dropped(MAP_SUCCESS)).toBe(false);
    expect(dropped(MAP_SUCCESS.subarray(0, 3))).toBe(true);
    expect(dropped(MAP_REQUEST)).toBe(true);
    expect(dropped(MAP_SUCCESS.subarray(0, 56))).toBe(true);
    expect(dropped(concat(MAP_SUCCESS, Uint8Array.of(0, 0)))).toBe(true);
    expect(dropped(concat(MAP_SUCCESS, new Uint8Array(1044)))).toBe(true);
    expect(dropped(patch(MAP_SUCCESS, 0, "03"))).toBe(true);
  });

  it("PCP-C-09 understands NAT-PMP's version error, whose response bit is clear", () => {
    expect(decodeResponse(hex("00000001 00000064"))).toMatchObject({ version: 0, result: 1, epoch: 100, body: null });
    expect(dropped(hex("00000000 00000064"))).toBe(true);
  });

  it("PCP-C-11 keeps an unknown mandatory option of a reply opaque", () => {
    const reply = concat(MAP_SUCCESS, hex("0d000002 abcd0000"));
    expect(decodeResponse(reply).options).toEqual([{ kind: "opaque", code: 13, data: Uint8Array.of(0xab, 0xcd) }]);
  });

  it("lets only its own error out, whatever the bytes", { timeout: 20_000 }, () => {
    decodeMutations({
      seed: 8443,
      runs: 100_000,
      seeds: [MAP_SUCCESS, ANNOUNCE_REPLY, ANNOUNCE_REPLY_SNI, VERSION_ERROR, concat(MAP_SUCCESS, PREFER_FAILURE)],
      decode: decodeResponse,
      own: PcpDecodeError,
    });
  });
});
