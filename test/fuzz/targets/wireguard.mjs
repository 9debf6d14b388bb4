// WireGuard configurations that people bring, and what `wg show dump` prints.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, words } from "./loading.mjs";

const KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const CONFIG_WORDS = words(
  "\n",
  "\r\n",
  " = ",
  "#",
  ", ",
  "[Interface]\n",
  "[Peer]\n",
  "PrivateKey=",
  "PublicKey=",
  "PresharedKey=",
  "ListenPort=",
  "FwMark=",
  "Address=",
  "DNS=",
  "MTU=",
  "Table=",
  "SaveConfig=",
  "PreUp=",
  "PostDown=",
  "AllowedIPs=",
  "Endpoint=",
  "PersistentKeepalive=",
  KEY,
  "PUT_THE_PRIVATE_KEY_OF_THIS_DEVICE_HERE",
  "off",
  "auto",
  "true",
  "0x",
  "65536",
  "10.59.7.2/24",
  "fd12::/64",
  "::ffff:1.2.3.4",
  "[::1]:1",
  "a.example:51820",
  "\uFEFF",
  "%i",
);
const DUMP_WORDS = words(
  "\t",
  "\n",
  "(none)",
  "off",
  KEY,
  "10.59.7.2/32,fd12::2/128",
  "[::1]:1",
  "0",
  "1700000000",
  "-1",
);

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function wireguardTargets(load) {
  /** @type {typeof import("../../../src/protocols/wireguard-config/parse.ts")} */
  const { parseWgQuick } = await load("protocols/wireguard-config/parse");
  /** @type {typeof import("../../../src/protocols/wireguard-config/config.ts")} */
  const { formatWgQuick } = await load("protocols/wireguard-config/config");
  /** @type {typeof import("../../../src/protocols/wireguard-config/error.ts")} */
  const { WireguardConfigError } = await load("protocols/wireguard-config/error");
  /** @type {typeof import("../../../src/adapters/wireguard/dump.ts")} */
  const { fingerprintOf, parseDump } = await load("adapters/wireguard/dump");
  /** @type {typeof import("../../../src/lib/errors.ts")} */
  const { PortreeveError } = await load("lib/errors");

  /** @param {Buffer} bytes */
  const config = (bytes) => {
    const text = bytes.toString();
    const read = decoded(WireguardConfigError, () => {
      try {
        return parseWgQuick(text);
      } catch (cause) {
        if (cause instanceof WireguardConfigError) {
          ok(cause.line >= 0 && cause.line <= text.split("\n").length, `line ${cause.line}`);
          ok(!cause.message.includes(KEY), "the message has a key in it");
        }
        throw cause;
      }
    });
    if (read === undefined) return false;
    deepStrictEqual(parseWgQuick(formatWgQuick(read)), read);
    return true;
  };
  /** @param {Buffer} bytes */
  const dump = (bytes) => {
    const read = decoded(PortreeveError, () => parseDump(bytes.toString()));
    if (read === undefined) return false;
    deepStrictEqual(fingerprintOf(read), fingerprintOf({ ...read, peers: [...read.peers].reverse() }));
    return true;
  };
  return [
    { name: "wireguard-config", dictionary: CONFIG_WORDS, bytesMax: 2048, check: config },
    { name: "wireguard-dump", dictionary: DUMP_WORDS, bytesMax: 1024, check: dump },
  ];
}
