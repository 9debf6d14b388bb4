// The configuration file with the environment that overrides it.
import { deepStrictEqual, ok } from "node:assert";
import { decoded, words } from "./loading.mjs";

const DICTIONARY = words(
  "\n",
  ": ",
  "- ",
  "  ",
  "{",
  "}",
  "[",
  "]",
  ",",
  "#",
  "&a ",
  "*a",
  "<<: ",
  "!!",
  "? ",
  "|",
  ">",
  "---\n",
  "...\n",
  '"',
  "'",
  "null",
  "~",
  "true",
  "-1",
  "0x10",
  "1e9",
  "lan:\n  - interface: lan0\n",
  "wan: ",
  "interfaces: ",
  "externalAddress: ",
  "portControl: ",
  "lifetime: ",
  "pcpMin: ",
  "max: ",
  "perDevice: ",
  "protectedPorts: ",
  "api: ",
  "listen: ",
  "roles: ",
  "dataDir: /",
  "log: ",
  "retain: ",
  "dns: ",
  "wireguard: ",
  "host: ",
  "__proto__: ",
  "constructor: ",
  "\0PORTREEVE_",
  "LAN=",
  "WAN__",
  "INTERFACES=",
  "PORT_CONTROL__LIFETIME__PCP_MIN=",
  "API__LISTEN=",
  "ROLES=",
  "__",
);

/** Input: the file, and after each NUL a variable. @param {import("./loading.mjs").Load} load @returns {Promise<import("./loading.mjs").Target[]>} */
export async function configTargets(load) {
  /** @type {typeof import("../../../src/config/load.ts")} */
  const { ConfigError, parseConfig } = await load("config/load");
  const file = "portreeve.yaml";
  /** @param {Buffer} bytes */
  const check = (bytes) => {
    const [text = "", ...variables] = bytes.toString().split("\0");
    const env = Object.fromEntries(variables.map((each) => [each.split("=", 1)[0], each.slice(each.indexOf("=") + 1)]));
    const loaded = decoded(ConfigError, () => readable(() => parseConfig(text, file, env), ConfigError, text));
    if (loaded === undefined) return false;
    // JSON is YAML: what was understood, with its defaults, is understood as the same again.
    deepStrictEqual(parseConfig(JSON.stringify(loaded.config), file, {}).config, loaded.config);
    return true;
  };
  return [{ name: "config", dictionary: DICTIONARY, bytesMax: 1024, check }];
}

/**
 * A refusal says where and what, in a line for each problem.
 * @template T
 * @param {() => T} body
 * @param {typeof import("../../../src/config/load.ts").ConfigError} own
 * @param {string} text
 */
function readable(body, own, text) {
  try {
    return body();
  } catch (cause) {
    if (!(cause instanceof own)) throw cause;
    const lines = text.split(/\r\n|[\n\r]/).length + 1;
    ok(cause.problems.length > 0, "refused without a reason");
    for (const { where, message, line } of cause.problems) {
      ok(where !== "" && message !== "", "refused without words");
      ok(Number.isInteger(line) && line >= 0 && line <= lines, `line ${line} of ${lines}`);
    }
    throw cause;
  }
}
