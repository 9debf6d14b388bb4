import { nearestWord } from "../../lib/suggestion.ts";
import type { WgQuickConfig } from "./config.ts";
import { WireguardConfigError } from "./error.ts";
import { INTERFACE_KEYS, type InterfaceDraft, type KeyRule, PEER_KEYS, type PeerDraft } from "./keys.ts";

/** Beyond these it is no configuration that anybody wrote. */
const TEXT_MAX = 4 << 20;
const LINE_MAX = 8192;
const PEERS_MAX = 16_384;
const COMMENTS_MAX = 32;
const COMMENT_MAX = 256;

/** Throws nothing but `WireguardConfigError`. What wg or wg-quick would refuse is refused; so is what is said twice. */
export function parseWgQuick(text: string): WgQuickConfig {
  if (text.length > TEXT_MAX) throw new WireguardConfigError(0, `more than ${TEXT_MAX} characters`);
  const reader = new Reader();
  let number = 0;
  for (const line of text.replace(/^\uFEFF/, "").split("\n")) {
    number += 1;
    reader.read(line, number);
  }
  return reader.end();
}

class Reader {
  #interface: InterfaceDraft | null = null;
  readonly #peers: (PeerDraft & { readonly line: number })[] = [];
  readonly #publicKeys = new Set<string>();
  #section: "none" | "interface" | "peer" = "none";
  /** Keys of this section that can be there once. */
  #seen = new Set<string>();
  #comments: string[] = [];

  read(line: string, number: number): void {
    const fail = (message: string): never => {
      throw new WireguardConfigError(number, message);
    };
    if (line.length > LINE_MAX) fail(`longer than ${LINE_MAX} characters`);
    const trimmed = line.trim();
    if (trimmed.startsWith("#")) return this.#comment(trimmed);
    const content = (trimmed.split("#", 1)[0] as string).trim();
    if (content === "") return;
    if (/\p{Cc}/u.test(content.replaceAll("\t", " "))) fail("a control character");
    if (content.startsWith("[")) return this.#header(content, number, fail);
    const equals = content.indexOf("=");
    if (equals < 0) fail('neither a section like [Peer] nor "Key = value"');
    this.#key(content.slice(0, equals).trim(), content.slice(equals + 1).trim(), fail);
  }

  end(): WgQuickConfig {
    for (const { publicKey, line } of this.#peers) {
      if (publicKey === "") throw new WireguardConfigError(line, "this [Peer] has no PublicKey");
    }
    if (this.#interface === null) throw new WireguardConfigError(0, "there is no [Interface] section");
    return { interface: this.#interface, peers: this.#peers.map(({ line: _line, ...peer }) => peer) };
  }

  #comment(line: string): void {
    const said = line.replace(/^#+/, "").trim();
    if (said !== "" && said.length <= COMMENT_MAX && this.#comments.length < COMMENTS_MAX) this.#comments.push(said);
  }

  #header(content: string, line: number, fail: (message: string) => never): void {
    const comments = this.#comments.splice(0);
    this.#seen = new Set();
    switch (content.toLowerCase()) {
      case "[interface]":
        if (this.#interface !== null) fail("a second [Interface] section");
        this.#section = "interface";
        this.#interface = emptyInterface(comments);
        return;
      case "[peer]":
        if (this.#peers.length === PEERS_MAX) fail(`more than ${PEERS_MAX} peers`);
        this.#section = "peer";
        this.#peers.push({ ...emptyPeer(comments), line });
        return;
      default:
        fail("a section that is neither [Interface] nor [Peer]");
    }
  }

  #key(written: string, value: string, fail: (message: string) => never): void {
    const keys: Readonly<Record<string, KeyRule<never>>> = this.#section === "peer" ? PEER_KEYS : INTERFACE_KEYS;
    if (this.#section === "none") fail("a key before the first section");
    const name = Object.keys(keys).find((each) => each.toLowerCase() === written.toLowerCase());
    if (name === undefined) fail(unknownKey(written, Object.keys(keys)));
    const rule = keys[name] as KeyRule<InterfaceDraft & PeerDraft>;
    if (rule.once && this.#seen.has(name)) fail(`${name} is there twice`);
    this.#seen.add(name);
    const section = (this.#section === "peer" ? this.#peers.at(-1) : this.#interface) as InterfaceDraft & PeerDraft;
    section.comments.push(...this.#comments.splice(0, COMMENTS_MAX - section.comments.length));
    this.#comments = [];
    const wanted = rule.read(section, value);
    if (wanted !== null) fail(`${name} must be ${wanted}`);
    if (name === "PublicKey") {
      if (this.#publicKeys.has(section.publicKey)) fail("two peers have this PublicKey");
      this.#publicKeys.add(section.publicKey);
    }
  }
}

const emptyInterface = (comments: string[]): InterfaceDraft => ({
  comments,
  privateKey: null,
  listenPort: null,
  fwMark: null,
  addresses: [],
  dns: [],
  mtu: null,
  table: null,
  saveConfig: false,
  hooks: [],
});

const emptyPeer = (comments: string[]): PeerDraft => ({
  comments,
  publicKey: "",
  presharedKey: null,
  allowedIps: [],
  endpoint: null,
  persistentKeepalive: null,
});

function unknownKey(written: string, known: readonly string[]): string {
  const nearest = nearestWord(written.slice(0, 32), known);
  return `an unknown key${nearest === null ? "" : `; ${nearest} was meant?`}`;
}
