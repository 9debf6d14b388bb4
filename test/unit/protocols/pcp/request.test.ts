import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PcpDecodeError, type PcpDecodeReason } from "../../../../src/protocols/pcp/error.ts";
import {
  decodeRequest,
  decodeRequestBody,
  decodeRequestHeader,
  encodeRequest,
} from "../../../../src/protocols/pcp/request.ts";
import { concat, patch, toHex } from "../hex.ts";
import { decodeMutations } from "../mutation.ts";
import { body, option } from "./arbitraries.ts";
import {
  ANNOUNCE_REQUEST,
  FILTER,
  FILTER_CLEAR,
  HOSTNAME,
  MAP_DELETE,
  MAP_REQUEST,
  PEER_REQUEST,
  PORT_SET,
  PREFER_FAILURE,
  THIRD_PARTY,
} from "./vectors.ts";

function reasonOf(decode: () => unknown): PcpDecodeReason | "decoded" {
  try {
    decode();
    return "decoded";
  } catch (cause) {
    expect(cause).toBeInstanceOf(PcpDecodeError);
    return (cause as PcpDecodeError).reason;
  }
}

const map = {
  kind: "map",
  nonce: "0102030405060708090a0b0c",
  protocol: 6,
  internalPort: 8080,
  externalPort: 8080,
  externalAddress: "0.0.0.0",
} as const;

describe("PCP request codec", () => {
  it("reads and writes the MAP vector of RFC 6887 §11.1", () => {
    const request = { lifetime: 3600, clientAddress: "192.168.77.2", body: map, options: [] };
    expect(decodeRequest(MAP_REQUEST)).toEqual(request);
    expect(toHex(encodeRequest(request))).toBe(toHex(MAP_REQUEST));
  });

  it("reads and writes the PEER layout of RFC 6887 §12.1", () => {
    const decoded = decodeRequest(PEER_REQUEST);
    expect(decoded.body).toEqual({ ...map, kind: "peer", remotePort: 443, remoteAddress: "11.22.33.99" });
    expect(toHex(encodeRequest(decoded))).toBe(toHex(PEER_REQUEST));
  });

  it("reads and writes the ANNOUNCE vector of RFC 6887 §14.1", () => {
    const request = { lifetime: 0, clientAddress: "192.168.77.2", body: { kind: "announce" }, options: [] } as const;
    expect(decodeRequest(ANNOUNCE_REQUEST)).toEqual(request);
    expect(toHex(encodeRequest(request))).toBe(toHex(ANNOUNCE_REQUEST));
  });

  it("reads and writes the option vectors of RFC 6887 §13 and RFC 7753 §4.1", () => {
    const vector = concat(MAP_REQUEST, THIRD_PARTY, PREFER_FAILURE, FILTER, FILTER_CLEAR, PORT_SET, HOSTNAME);
    const decoded = decodeRequest(vector);
    expect(decoded.options).toEqual([
      { kind: "third-party", address: "192.168.77.9" },
      { kind: "prefer-failure" },
      { kind: "filter", prefixLength: 120, remotePort: 0, remoteAddress: "11.22.33.0" },
      { kind: "filter", prefixLength: 0, remotePort: 0, remoteAddress: "::" },
      { kind: "port-set", size: 16, firstInternalPort: 5000, parity: false },
      { kind: "hostname", hostname: "a.example" },
    ]);
    expect(toHex(encodeRequest(decoded))).toBe(toHex(vector));
  });

  it("gives back any request it has encoded", () => {
    fc.assert(
      fc.property(
        fc.record({
          lifetime: fc.nat(0xffffffff),
          clientAddress: fc.ipV4(),
          body,
          options: fc.array(option, { maxLength: 5 }),
        }),
        (request) => {
          const bytes = encodeRequest(request);
          expect(bytes.length % 4).toBe(0);
          expect(decodeRequest(bytes)).toEqual(request);
        },
      ),
    );
  });

  it("PCP-S-02 PCP-S-04 drops what is shorter than a header and what is a response", () => {
    for (let length = 0; length < 24; length += 1) {
      expect(reasonOf(() => decodeRequestHeader(MAP_REQUEST.subarray(0, length)))).toBe("drop");
    }
    expect(reasonOf(() => decodeRequestHeader(patch(MAP_REQUEST, 1, "81")))).toBe("drop");
  });

  it("PCP-S-03 refuses every version but 2", () => {
    for (const version of ["00", "01", "03", "ff"]) {
      expect(reasonOf(() => decodeRequestHeader(patch(MAP_REQUEST, 0, version)))).toBe("UNSUPP_VERSION");
    }
    expect(reasonOf(() => decodeRequestHeader(MAP_REQUEST.with(0, 9).subarray(0, 2)))).toBe("UNSUPP_VERSION");
  });

  it("PCP-S-06 refuses lengths over 1100, not a multiple of 4, or too short for the opcode", () => {
    const filled = (length: number): Uint8Array => concat(MAP_REQUEST, new Uint8Array(length - MAP_REQUEST.length));
    expect(reasonOf(() => decodeRequestHeader(filled(1100)))).toBe("decoded");
    expect(reasonOf(() => decodeRequestHeader(filled(1104)))).toBe("MALFORMED_REQUEST");
    for (const length of [61, 62, 63]) {
      expect(reasonOf(() => decodeRequestHeader(filled(length)))).toBe("MALFORMED_REQUEST");
    }
    expect(reasonOf(() => decodeRequestBody(1, MAP_REQUEST.subarray(0, 56)))).toBe("MALFORMED_REQUEST");
    expect(reasonOf(() => decodeRequestBody(2, PEER_REQUEST.subarray(0, 76)))).toBe("MALFORMED_REQUEST");
  });

  it("PCP-S-08 names an opcode it has no layout for", () => {
    expect(reasonOf(() => decodeRequest(patch(MAP_REQUEST, 1, "03")))).toBe("UNSUPP_OPCODE");
  });

  it("PCP-S-16 finds an option that reaches beyond the message malformed", () => {
    expect(reasonOf(() => decodeRequest(concat(MAP_REQUEST, patch(PORT_SET, 2, "0009"))))).toBe("MALFORMED_OPTION");
    expect(reasonOf(() => decodeRequest(concat(MAP_REQUEST, patch(PORT_SET, 2, "0008"))))).toBe("MALFORMED_OPTION");
    expect(reasonOf(() => decodeRequest(concat(MAP_REQUEST, patch(PREFER_FAILURE, 2, "ffff"))))).toBe(
      "MALFORMED_OPTION",
    );
  });

  it("PCP-S-18 PCP-S-25 PCP-S-29 finds bad contents of the options it knows malformed", () => {
    for (const bad of [
      patch(THIRD_PARTY, 2, "000f"),
      patch(concat(PREFER_FAILURE, PREFER_FAILURE), 2, "0001"),
      patch(FILTER, 5, "5f"),
      patch(FILTER, 5, "81"),
      patch(FILTER_CLEAR, 5, "81"),
      patch(FILTER, 2, "0013"),
    ]) {
      expect(reasonOf(() => decodeRequest(concat(MAP_REQUEST, bad)))).toBe("MALFORMED_OPTION");
    }
    for (const good of [patch(FILTER, 5, "60"), patch(FILTER, 5, "80"), patch(FILTER_CLEAR, 5, "01")]) {
      expect(reasonOf(() => decodeRequest(concat(MAP_REQUEST, good)))).toBe("decoded");
    }
  });

  it("PCP-S-19 ignores reserved octets and padding, and keeps what it does not know opaque", () => {
    const odd = patch(patch(PORT_SET, 1, "ff"), 9, "ffffff");
    expect(decodeRequest(concat(MAP_REQUEST, odd)).options).toEqual(
      decodeRequest(concat(MAP_REQUEST, PORT_SET)).options,
    );
    const unknown = patch(PORT_SET, 0, "a0");
    expect(decodeRequest(concat(MAP_REQUEST, unknown)).options).toEqual([
      { kind: "opaque", code: 160, data: Uint8Array.of(0, 16, 0x13, 0x88, 0) },
    ]);
  });

  it("lets only its own error out, whatever the bytes", { timeout: 20_000 }, () => {
    decodeMutations({
      seed: 6887,
      runs: 100_000,
      seeds: [
        MAP_REQUEST,
        MAP_DELETE,
        PEER_REQUEST,
        ANNOUNCE_REQUEST,
        concat(MAP_REQUEST, PREFER_FAILURE, FILTER, PORT_SET),
        concat(MAP_REQUEST, HOSTNAME, THIRD_PARTY, FILTER_CLEAR),
      ],
      decode: decodeRequest,
      own: PcpDecodeError,
    });
  });
});
