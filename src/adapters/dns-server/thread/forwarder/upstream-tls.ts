import { checkServerIdentity, type ConnectionOptions } from "node:tls";

/** For an upstream whose address is known: the certificate has to be the name's. `authorities` in place of those Node trusts. */
export function tlsOptions(name: string, authorities: readonly string[] | undefined): ConnectionOptions {
  return {
    minVersion: "TLSv1.2",
    // RFC 6066 §3: an address is no server name; the certificate is checked against it all the same.
    ...(isAddress(name) ? {} : { servername: name }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    ...(authorities === undefined ? {} : { ca: [...authorities] }),
  };
}

const isAddress = (name: string): boolean => name.includes(":") || /^[\d.]+$/.test(name);
