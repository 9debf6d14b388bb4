import { type HookEvent, PRIVATE_KEY_PLACEHOLDER, type WgQuickInterface, type WgQuickPeer } from "./config.ts";
import { parseEndpoint } from "../../lib/endpoint.ts";
import { isWireguardKey, parseAddress, parseAllowedIp, parseDns, parseNumber } from "./fields.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };
export type InterfaceDraft = Writable<WgQuickInterface>;
export type PeerDraft = Writable<WgQuickPeer>;

/** Beyond this it is no list that anybody wrote. */
const LIST_MAX = 1024;

export interface KeyRule<Section> {
  readonly once: boolean;
  /** Puts the value into its section, or says what it must be. */
  readonly read: (section: Section, value: string) => string | null;
}

/** A value that a section holds once. */
function one<Section, K extends keyof Section>(
  field: K,
  parse: (value: string) => Section[K] | null,
  wanted: string,
): KeyRule<Section> {
  return {
    once: true,
    read: (section, value) => {
      const parsed = parse(value);
      if (parsed === null) return wanted;
      section[field] = parsed;
      return null;
    },
  };
}

/** A list with commas, in one line or in several. */
function list<K extends "addresses" | "dns" | "allowedIps">(
  field: K,
  parse: (value: string) => string | null,
  wanted: string,
): KeyRule<{ [F in K]: string[] }> {
  return {
    once: false,
    read: (section, value) => {
      const values = value === "" ? [] : value.split(",");
      if (section[field].length + values.length > LIST_MAX) return `a list of at most ${LIST_MAX}`;
      for (const each of values) {
        const parsed = parse(each.trim());
        if (parsed === null) return wanted;
        if (!section[field].includes(parsed)) section[field].push(parsed);
      }
      return null;
    },
  };
}

const hook = (event: HookEvent): KeyRule<InterfaceDraft> => ({
  once: false,
  read: (section, command) => {
    if (command === "" || section.hooks.length === LIST_MAX) return "a command";
    section.hooks.push({ event, command });
    return null;
  },
});

const key = (value: string): string | null => (isWireguardKey(value) ? value : null);
const mark = (value: string): number | null => {
  if (value.toLowerCase() === "off") return 0;
  return /^0x[0-9a-f]{1,8}$/i.test(value) ? Number(value) : parseNumber(value, 0xffffffff);
};
const table = (value: string): string | null => {
  const word = value.toLowerCase();
  return word === "off" || word === "auto" || parseNumber(word, 0xffffffff) !== null ? word : null;
};
const KEY_WANTED = "32 bytes in base64";

/** wg(8) "CONFIGURATION FILE FORMAT" and wg-quick(8) "CONFIGURATION". */
export const INTERFACE_KEYS: Readonly<Record<string, KeyRule<InterfaceDraft>>> = {
  PrivateKey: {
    once: true,
    read: (section, value) => {
      if (value === PRIVATE_KEY_PLACEHOLDER) return null;
      section.privateKey = key(value);
      return section.privateKey === null ? KEY_WANTED : null;
    },
  },
  ListenPort: one("listenPort", (value) => parseNumber(value, 65535), "a port number"),
  FwMark: one("fwMark", mark, 'a 32-bit number or "off"'),
  Address: list("addresses", parseAddress, "addresses like 10.59.7.2/24, with commas between"),
  DNS: list("dns", parseDns, "addresses or domains, with commas between"),
  MTU: one("mtu", (value) => parseNumber(value, 65535), "a number up to 65535"),
  Table: one("table", table, 'a table number, "off" or "auto"'),
  SaveConfig: one("saveConfig", (value) => ({ true: true, false: false })[value] ?? null, "true or false"),
  PreUp: hook("PreUp"),
  PostUp: hook("PostUp"),
  PreDown: hook("PreDown"),
  PostDown: hook("PostDown"),
};

const keepalive = (value: string): number | null => (value.toLowerCase() === "off" ? 0 : parseNumber(value, 65535));
export const PEER_KEYS: Readonly<Record<string, KeyRule<PeerDraft>>> = {
  PublicKey: one("publicKey", key, KEY_WANTED),
  PresharedKey: one("presharedKey", key, KEY_WANTED),
  AllowedIPs: list("allowedIps", parseAllowedIp, "addresses or prefixes, with commas between"),
  Endpoint: one("endpoint", parseEndpoint, "host:port, an IPv6 address in brackets"),
  PersistentKeepalive: one("persistentKeepalive", keepalive, 'seconds up to 65535, or "off"'),
};
