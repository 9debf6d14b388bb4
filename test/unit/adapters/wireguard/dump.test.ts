import { describe, expect, it } from "vitest";
import { fingerprintOf, parseDump } from "../../../../src/adapters/wireguard/dump.ts";
import { PortreeveError } from "../../../../src/lib/errors.ts";
import { decodeMutations } from "../../protocols/mutation.ts";

const KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PEER = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
/** wireguard-tools 1.0.20210914. */
const DEVICE = `${KEY}\t${PEER}\t51820\toff`;
const PEERS = [
  `${PEER}\t${KEY}\t[2001:db8::1]:7\tfd12::2/128,10.59.7.2/32\t1700000000\t148\t92\t25`,
  `${KEY}\t(none)\t(none)\t(none)\t0\t0\t0\toff`,
];
const TEXT = `${[DEVICE, ...PEERS].join("\n")}\n`;

describe("`wg show dump`", () => {
  it("is read whole", () => {
    expect(parseDump(TEXT)).toEqual({
      privateKey: KEY,
      publicKey: PEER,
      listenPort: 51820,
      peers: [
        {
          publicKey: PEER,
          presharedKey: KEY,
          endpoint: "[2001:db8::1]:7",
          allowedIps: ["10.59.7.2/32", "fd12::2/128"],
          handshakeAt: 1700000000,
          received: 148,
          sent: 92,
        },
        {
          publicKey: KEY,
          presharedKey: null,
          endpoint: null,
          allowedIps: [],
          handshakeAt: 0,
          received: 0,
          sent: 0,
        },
      ],
    });
    expect(parseDump("(none)\t(none)\t0\toff\n")).toEqual({
      privateKey: null,
      publicKey: null,
      listenPort: 0,
      peers: [],
    });
  });

  it("is refused where it is not what we know, without a word of what is in it", () => {
    for (const text of ["", "\n", KEY, `${DEVICE}\tmore`, `${DEVICE}\n${KEY}`, `${KEY}\t${PEER}\t-1\toff`]) {
      expect(() => parseDump(text)).toThrow(PortreeveError);
      expect(() => parseDump(text)).not.toThrow(KEY);
    }
  });

  it("lets only our own error out, whatever the text", () => {
    decodeMutations({
      seed: 1980,
      runs: 20_000,
      seeds: [TEXT, DEVICE].map((text) => Buffer.from(text)),
      decode: (bytes) => parseDump(Buffer.from(bytes).toString()),
      own: PortreeveError,
    });
  });

  it("has one fingerprint as long as nothing that is managed changes", () => {
    const print = (device: string, ...peers: string[]): string =>
      fingerprintOf(parseDump([device, ...peers].join("\n")));
    const [first = "", second = ""] = PEERS;
    const same = print(DEVICE, first, second);
    expect(print(DEVICE, second, first)).toBe(same);
    expect(print(DEVICE, first.replace("148\t92", "149\t99").replace("1700000000", "1700000123"), second)).toBe(same);
    expect(print(DEVICE, first.replace("[2001:db8::1]:7", "1.2.3.4:8"), second)).toBe(same);
    expect(print(DEVICE.replace("51820", "51821"), first, second)).not.toBe(same);
    expect(print(DEVICE.replace(KEY, PEER), first, second)).not.toBe(same);
    expect(print(DEVICE, first)).not.toBe(same);
    expect(print(DEVICE, first.replace("10.59.7.2", "10.59.7.3"), second)).not.toBe(same);
    expect(print(DEVICE, first.replace(KEY, PEER), second)).not.toBe(same);
    expect(print(DEVICE, first.replace(KEY, "(none)"), second)).not.toBe(same);
  });
});
