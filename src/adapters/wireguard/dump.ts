import { createHash } from "node:crypto";
import { PortreeveError } from "../../lib/errors.ts";

/** What `wg show INTERFACE dump` prints. Holds keys: to be compared at once, not kept. */
export interface WireguardDump {
  /** Null: not set. */
  readonly privateKey: string | null;
  readonly publicKey: string | null;
  readonly listenPort: number;
  readonly peers: readonly DumpedPeer[];
}

export interface DumpedPeer {
  readonly publicKey: string;
  readonly presharedKey: string | null;
  readonly endpoint: string | null;
  /** Sorted. */
  readonly allowedIps: readonly string[];
  /** Unix seconds of the wall clock; 0: none yet. */
  readonly handshakeAt: number;
  readonly received: number;
  readonly sent: number;
}

const DEVICE_FIELDS = 4;
const PEER_FIELDS = 8;

/** wg(8), "show": a line for the device, one for each peer, fields with tabs between, "(none)" for what is not set. */
export function parseDump(text: string): WireguardDump {
  const [device = "", ...lines] = text.trimEnd().split("\n");
  const [privateKey = "", publicKey = "", listenPort = ""] = fieldsOf(device, DEVICE_FIELDS);
  return {
    privateKey: orNull(privateKey),
    publicKey: orNull(publicKey),
    listenPort: toNumber(listenPort),
    peers: lines.map(parsePeer),
  };
}

function parsePeer(line: string): DumpedPeer {
  const fields = fieldsOf(line, PEER_FIELDS);
  const [publicKey = "", presharedKey = "", endpoint = "", allowedIps = ""] = fields;
  const [handshakeAt = "", received = "", sent = ""] = fields.slice(4);
  return {
    publicKey,
    presharedKey: orNull(presharedKey),
    endpoint: orNull(endpoint),
    allowedIps: allowedIps === "(none)" ? [] : allowedIps.split(",").sort(),
    handshakeAt: toNumber(handshakeAt),
    received: toNumber(received),
    sent: toNumber(sent),
  };
}

const orNull = (field: string): string | null => (field === "(none)" ? null : field);

function fieldsOf(line: string, count: number): string[] {
  const fields = line.split("\t");
  if (fields.length !== count) throw unreadable();
  return fields;
}

function toNumber(field: string): number {
  if (!/^\d{1,16}$/.test(field)) throw unreadable();
  return Number(field);
}

/** Says nothing of the text: there are keys in it. */
const unreadable = (): PortreeveError =>
  new PortreeveError("UNAVAILABLE", "`wg show` printed what no known version of wireguard-tools prints", "transient");

/** Of the keys and allowed addresses: all that is managed and nothing that traffic changes. */
export function fingerprintOf({ privateKey, listenPort, peers }: WireguardDump): string {
  const hash = createHash("sha256").update(`${privateKey}|${listenPort}\n`);
  const lines = peers.map((peer) => `${peer.publicKey}|${peer.presharedKey}|${peer.allowedIps.join(",")}\n`);
  return hash.update(lines.sort().join("")).digest("base64");
}
