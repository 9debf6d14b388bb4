import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NatPmpDecodeError, type NatPmpDecodeReason } from "../../../../src/protocols/natpmp/error.ts";
import { decodeNatPmpRequest, encodeNatPmpRequest } from "../../../../src/protocols/natpmp/request.ts";
import {
  decodeNatPmpResponse,
  encodeNatPmpAddress,
  encodeNatPmpMap,
  encodeNatPmpOpcodeError,
  encodeNatPmpVersionError,
  NATPMP_RESULT,
  type NatPmpResultName,
} from "../../../../src/protocols/natpmp/response.ts";
import { concat, hex, patch, toHex } from "../hex.ts";
import { decodeMutations } from "../mutation.ts";
import { ADDRESS_REPLY, ADDRESS_REQUEST, MAP_TCP, MAP_TCP_REPLY, VERSION_ERROR } from "./vectors.ts";

function reasonOf(decode: () => unknown): NatPmpDecodeReason | "decoded" {
  try {
    decode();
    return "decoded";
  } catch (cause) {
    expect(cause).toBeInstanceOf(NatPmpDecodeError);
    return (cause as NatPmpDecodeError).reason;
  }
}

const port = fc.nat(0xffff);
const protocol = fc.constantFrom("udp" as const, "tcp" as const);

describe("NAT-PMP codec", () => {
  it("reads and writes the request vectors of RFC 6886 §3.2 and §3.3", () => {
    expect(decodeNatPmpRequest(ADDRESS_REQUEST)).toEqual({ kind: "address" });
    const map = { kind: "map", protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 7200 } as const;
    expect(decodeNatPmpRequest(MAP_TCP)).toEqual(map);
    expect(toHex(encodeNatPmpRequest(map))).toBe(toHex(MAP_TCP));
    expect(toHex(encodeNatPmpRequest({ kind: "address" }))).toBe("0000");
    expect(decodeNatPmpRequest(patch(MAP_TCP, 1, "01"))).toEqual({ ...map, protocol: "udp" });
  });

  it("reads and writes the response vectors of RFC 6886 §3.2, §3.3 and §3.5", () => {
    expect(toHex(encodeNatPmpAddress("SUCCESS", 100, "11.22.33.1"))).toBe(toHex(ADDRESS_REPLY));
    const map = { protocol: "tcp", internalPort: 8080, externalPort: 8080, lifetime: 7200 } as const;
    expect(toHex(encodeNatPmpMap("SUCCESS", 100, map))).toBe(toHex(MAP_TCP_REPLY));
    expect(toHex(encodeNatPmpVersionError(100))).toBe(toHex(VERSION_ERROR));
    expect(decodeNatPmpResponse(ADDRESS_REPLY)).toEqual({
      kind: "address",
      result: 0,
      epoch: 100,
      address: "11.22.33.1",
    });
    expect(decodeNatPmpResponse(MAP_TCP_REPLY)).toEqual({ kind: "map", result: 0, epoch: 100, ...map });
    expect(decodeNatPmpResponse(VERSION_ERROR)).toEqual({ kind: "unsupported", opcode: 0, result: 1, epoch: 100 });
  });

  it("gives back any message it has encoded", () => {
    const request = fc.record({
      kind: fc.constant("map" as const),
      protocol,
      internalPort: port,
      suggestedPort: port,
      lifetime: fc.nat(0xffffffff),
    });
    fc.assert(
      fc.property(request, (asked) => {
        expect(decodeNatPmpRequest(encodeNatPmpRequest(asked))).toEqual(asked);
      }),
    );
    const result = fc.constantFrom<NatPmpResultName>(
      "SUCCESS",
      "NOT_AUTHORIZED",
      "NETWORK_FAILURE",
      "OUT_OF_RESOURCES",
    );
    const map = fc.record({ protocol, internalPort: port, externalPort: port, lifetime: fc.nat(0xffffffff) });
    fc.assert(
      fc.property(result, fc.nat(0xffffffff), map, fc.ipV4(), (name, epoch, fields, address) => {
        const head = { result: NATPMP_RESULT[name], epoch };
        expect(decodeNatPmpResponse(encodeNatPmpMap(name, epoch, fields))).toEqual({ kind: "map", ...head, ...fields });
        expect(decodeNatPmpResponse(encodeNatPmpAddress(name, epoch, address))).toEqual({
          kind: "address",
          ...head,
          address,
        });
      }),
    );
  });

  it("NPMP-S-02 drops responses and names opcodes 3 to 127 unsupported", () => {
    for (const opcode of [128, 129, 130, 255])
      expect(reasonOf(() => decodeNatPmpRequest(MAP_TCP.with(1, opcode)))).toBe("drop");
    for (const opcode of [3, 4, 127]) {
      expect(reasonOf(() => decodeNatPmpRequest(Uint8Array.of(0, opcode)))).toBe("UNSUPPORTED_OPCODE");
    }
  });

  it("NPMP-S-14 names every version but 0 unsupported", () => {
    for (const version of [1, 2, 255]) {
      expect(reasonOf(() => decodeNatPmpRequest(MAP_TCP.with(0, version)))).toBe("UNSUPPORTED_VERSION");
    }
  });

  it("drops what is too short for its opcode and ignores octets beyond the layout", () => {
    for (const length of [0, 1]) expect(reasonOf(() => decodeNatPmpRequest(MAP_TCP.subarray(0, length)))).toBe("drop");
    for (let length = 2; length < 12; length += 1) {
      expect(reasonOf(() => decodeNatPmpRequest(MAP_TCP.subarray(0, length)))).toBe("drop");
    }
    expect(decodeNatPmpRequest(concat(MAP_TCP, hex("ffff")))).toEqual(decodeNatPmpRequest(MAP_TCP));
  });

  it("NPMP-S-02 returns the whole request with an opcode error, padded to hold the epoch", () => {
    expect(toHex(encodeNatPmpOpcodeError(hex("0005"), 100))).toBe("0085000500000064");
    expect(toHex(encodeNatPmpOpcodeError(hex("00050000 aabbccdd eeff"), 100))).toBe("00850005aabbccddeeff");
    expect(encodeNatPmpOpcodeError(new Uint8Array(4000).fill(5), 100).length).toBe(1100);
  });

  it("checks lengths of responses exactly, as real clients do", () => {
    for (const reply of [ADDRESS_REPLY, MAP_TCP_REPLY]) {
      expect(reasonOf(() => decodeNatPmpResponse(concat(reply, Uint8Array.of(0))))).toBe("drop");
      expect(reasonOf(() => decodeNatPmpResponse(reply.subarray(0, reply.length - 1)))).toBe("drop");
    }
  });

  it("lets only its own error out of a request, whatever the bytes", { timeout: 20_000 }, () => {
    decodeMutations({
      seed: 6886,
      runs: 100_000,
      seeds: [ADDRESS_REQUEST, MAP_TCP, MAP_TCP.with(1, 1), hex("00010000 00000000 00000000")],
      decode: decodeNatPmpRequest,
      own: NatPmpDecodeError,
    });
  });

  it("lets only its own error out of a response, whatever the bytes", { timeout: 20_000 }, () => {
    decodeMutations({
      seed: 5351,
      runs: 100_000,
      seeds: [ADDRESS_REPLY, MAP_TCP_REPLY, VERSION_ERROR],
      decode: decodeNatPmpResponse,
      own: NatPmpDecodeError,
    });
  });
});
