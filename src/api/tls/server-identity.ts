import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { ApiDeps } from "../deps.ts";
import { isWildcard } from "../host-names.ts";
import type { ServerIdentity, TlsSetting } from "./identity.ts";
import { readImported } from "./imported.ts";
import { ownAuthority } from "./own-authority.ts";

export interface IdentityOptions {
  readonly tls: Exclude<TlsSetting, "off">;
  /** Names and addresses that clients use. */
  readonly names: () => readonly string[];
}

export async function serverIdentity(
  deps: Pick<ApiDeps, "controller" | "secrets" | "wallClock" | "log">,
  { tls, names }: IdentityOptions,
): Promise<ServerIdentity> {
  return tls === "own-ca" ? await ownAuthority(deps, names) : await readImported(tls, deps);
}

/** What a certificate for this listener has to name: what it listens on and what the configuration says. */
export function servedNames(
  listenHost: string,
  configured: readonly string[],
  external: readonly string[],
): readonly string[] {
  const hosts = configured.map(hostOf);
  const listened = isWildcard(listenHost) ? machineAddresses(listenHost === "0.0.0.0") : [listenHost];
  const names = [...hosts, ...listened, ...external, "localhost", "127.0.0.1", "::1"];
  return [...new Set(names.map((name) => name.toLowerCase()))].sort();
}

/** "gw.example.org:443", "[2001:db8::1]:443", "2001:db8::1". */
function hostOf(name: string): string {
  return isIP(name) === 0 ? name.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "") : name;
}

/** Link-local ones (RFC 4291 §2.5.6) mean something else on every link. */
function machineAddresses(onlyIpv4: boolean): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all
    .filter(({ family, address }) => (family === "IPv4" || !onlyIpv4) && !/^fe[89ab]/i.test(address))
    .map(({ address }) => address);
}
