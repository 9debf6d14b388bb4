import type { Names } from "../api/deps.ts";
import type { DnsServer } from "../adapters/dns-server/server.ts";
import { generatePresharedKey, textOf } from "../adapters/wireguard/keys.ts";
import type { SecretStore } from "../events/secrets.ts";
import { parseName, type DomainName } from "../lib/domain-name.ts";
import { PortreeveError } from "../lib/errors.ts";
import { isoTime } from "../lib/iso-time.ts";
import { withoutLength } from "../lib/ip.ts";
import { typeName, typeNumber } from "../protocols/dns/constants.ts";
import { RdataTextError, rdataFromText, rdataText } from "../protocols/dns/rdata/index.ts";
import { deviceKeyOf, keyTexts } from "../protocols/dns/tsig-key.ts";
import { ownName } from "../reducers/dns-view.ts";
import type { Device, State } from "../reducers/state.ts";

/** An upstream has given up by then. */
const ASK_MAX_MS = 12_000;

/** Names as the API needs them: values in their one form, and keys opened for the one answer that shows them. */
export function createNames({
  state,
  secrets,
  server,
}: {
  readonly state: () => State;
  readonly secrets: Pick<SecretStore, "open">;
  /** Null in safe mode, where no names are served. */
  readonly server: Pick<DnsServer, "ask" | "queries" | "logsQueries"> | null;
}): Names {
  return {
    canonical,
    // As long as what HMAC-SHA256 makes of it (RFC 2104 §3).
    newKey: () => generatePresharedKey(),
    ask: async (view, name, type) => {
      if (parseName(name) === null) throw refused(`${name} is no name, as in nas.home.arpa`);
      if (typeNumber(type) === null) throw refused(`${type} is no record type, as in A, TXT or TYPE65280`);
      if (server === null) throw new PortreeveError("NOT_READY", "in safe mode no names are served", "terminal");
      const explanation = await server.ask(view, name, type, AbortSignal.timeout(ASK_MAX_MS));
      return { ...explanation, answers: explanation.answers.map((each) => ({ ...each })) };
    },
    queries: () => ({
      logged: server?.logsQueries ?? false,
      queries: (server?.queries ?? []).map((each) => ({ ...each, at: isoTime(each.at) })),
    }),
    keyOf: async (device) => await keyOf(state(), secrets, device),
  };
}

function canonical(type: string, value: string): { type: string; value: string } {
  const number = typeNumber(type);
  if (number === null) throw refused(`${type} is no record type, as in A, TXT or TYPE65280`);
  try {
    return { type: typeName(number), value: rdataText(number, rdataFromText(number, value)) };
  } catch (cause) {
    if (!(cause instanceof RdataTextError)) throw cause;
    throw refused(`${value} is no value of type ${typeName(number)}: ${cause.message}`);
  }
}

async function keyOf(state: State, secrets: Pick<SecretStore, "open">, device: Device): ReturnType<Names["keyOf"]> {
  const name = ownName(state, device);
  const key = name === null ? null : parseName(name);
  if (key === null)
    throw refused(`${device.name} is on a LAN that has no resolver of ours: \`dns: true\` gives it one`);
  const secret = await secretOf(secrets, device, key);
  const server = resolverOf(state, device);
  const { bindFile, option, certbot, lego } = keyTexts(key, secret, server);
  return {
    name: device.name,
    keyName: name as string,
    algorithm: "hmac-sha256",
    secret: Buffer.from(secret).toString("base64"),
    server,
    forms: { bindFile, option, certbot, lego },
  };
}

/** On a subnet it is made of the preshared key, which the device has too; on a LAN it is one of its own. */
async function secretOf(secrets: Pick<SecretStore, "open">, device: Device, name: DomainName): Promise<Uint8Array> {
  const { presharedKeySecret, dnsKeySecret } = device;
  const secretId = presharedKeySecret ?? dnsKeySecret;
  if (secretId === null) throw refused(`${device.name} has no key yet`);
  const octets = Buffer.from(textOf(await secrets.open(secretId)), "base64");
  if (presharedKeySecret === null) return octets;
  const derived = deviceKeyOf(octets, name);
  if (derived === null) throw refused(`${device.name} has a preshared key of zeros, which everybody knows: rekey it`);
  return derived.secret;
}

/** Its own network's address of the gateway. */
function resolverOf(state: State, { subnet, interface: lan }: Device): string {
  const prefix = subnet === null ? state.interfaces[lan ?? ""]?.addresses[0] : state.subnets[subnet]?.prefix;
  if (prefix === undefined) throw refused(`${lan} has no address now`);
  return withoutLength(prefix);
}

const refused = (message: string): PortreeveError => new PortreeveError("INVALID_REQUEST", message, "refused");
