// Set-ups of other programs that people import.
import { ok } from "node:assert";
import { decoded, words } from "./loading.mjs";

const KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const JSON_WORDS = words(
  '{"',
  '":',
  '":{"',
  "}",
  "[]",
  ",",
  "null",
  "true",
  "__proto__",
  '"wg"',
  '"port"',
  '"subnets"',
  '"clients"',
  '"portForwards"',
  '"value"',
  '"kind":"sni"',
  '"target":"10.59.7.2:443"',
  '"count":65535',
  '"auto":true',
  '"dns":{"mode":"custom","servers":["1.1.1.1"]}',
  '"server"',
  '"address":"10.8.0.1"',
  '"privateKey"',
  '"preSharedKey"',
  "10.59.7.1/24",
  "11.22.33.1:65535",
  KEY,
);
const LEASE_WORDS = words("TCP:", "UDP:", ":", "\n", "\r\n", "192.168.7.2", "65535", "65536", ":0:", "\uD800");

/** @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function importTargets(load) {
  /** @type {typeof import("../../../src/protocols/import/starttunnel.ts")} */
  const { parseStartTunnel } = await load("protocols/import/starttunnel");
  /** @type {typeof import("../../../src/protocols/import/wg-easy.ts")} */
  const { parseWgEasy } = await load("protocols/import/wg-easy");
  /** @type {typeof import("../../../src/protocols/import/wg-quick.ts")} */
  const { parseWgQuickFolder } = await load("protocols/import/wg-quick");
  /** @type {typeof import("../../../src/protocols/import/miniupnpd.ts")} */
  const { parseMiniupnpd } = await load("protocols/import/miniupnpd");
  /** @type {typeof import("../../../src/protocols/import/error.ts")} */
  const { ImportError } = await load("protocols/import/error");

  /** Every key of a dump looks the same here, and is never said. @param {string} key */
  const publicKeyOf = (key) => `${key.slice(0, -2)}A=`;
  /** @param {(text: string) => import("../../../src/protocols/import/model.ts").Imported} parse */
  const target = (parse) => (/** @type {Buffer} */ bytes) => {
    const read = decoded(ImportError, () => {
      try {
        return parse(bytes.toString());
      } catch (cause) {
        if (cause instanceof Error) ok(!cause.message.includes(KEY), "the message has a key in it");
        throw cause;
      }
    });
    if (read === undefined) return false;
    const { subnets, devices, ports } = read.declaration;
    for (const list of [subnets, devices, ports]) {
      const names = list.map(({ name }) => name.toLowerCase());
      ok(list === ports || new Set(names).size === names.length, "a name is there twice");
      for (const name of names) ok(name !== "" && name === name.trim() && !/\p{Cc}/u.test(name), JSON.stringify(name));
    }
    for (const { name } of devices) ok(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name), name);
    ok(read.keys.size === devices.length, "each device has its keys");
    return true;
  };
  return [
    {
      name: "import-starttunnel",
      dictionary: JSON_WORDS,
      bytesMax: 2048,
      check: target((text) => parseStartTunnel(text, publicKeyOf)),
    },
    {
      name: "import-wg-easy",
      dictionary: JSON_WORDS,
      bytesMax: 2048,
      check: target((text) => parseWgEasy(text, publicKeyOf)),
    },
    {
      name: "import-wg-quick",
      dictionary: words("\n", "[Interface]\n", "[Peer]\n", "ListenPort=1", "AllowedIPs=10.8.0.2/32", "#", KEY),
      bytesMax: 2048,
      check: target((text) => parseWgQuickFolder([{ name: "wg0.conf", text }], publicKeyOf)),
    },
    { name: "import-miniupnpd", dictionary: LEASE_WORDS, bytesMax: 1024, check: target(parseMiniupnpd) },
  ];
}
