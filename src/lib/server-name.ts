/**
 * A TLS server name (RFC 6066 §3) as it is kept: lower case, LDH labels (RFC 1123 §2.1), and a star only as the whole
 * first label, for all names that are one label longer than the rest (RFC 6125 §6.4.3).
 */
const SERVER_NAME = /^(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** RFC 1035 §2.3.4, without the octets of the root and of the first length. */
const NAME_MAX = 253;

/** RFC 6066 §3: a literal address is no name; no name's last label is a number (RFC 3696 §2). */
const ENDS_IN_NUMBER = /(?:^|\.)[0-9]+$/;

export const isServerName = (text: string): boolean =>
  text.length <= NAME_MAX && SERVER_NAME.test(text) && !ENDS_IN_NUMBER.test(text);

/** As it is kept; null where it is none. */
export function serverNameOf(text: string): string | null {
  const name = text.toLowerCase();
  return isServerName(name) ? name : null;
}

/** The wildcard that stands for a name while nobody has the name itself; null where none can. */
export function wildcardFor(name: string): string | null {
  const dot = name.indexOf(".");
  return dot < 0 || name.startsWith("*.") ? null : `*.${name.slice(dot + 1)}`;
}
