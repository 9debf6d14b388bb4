/** With the prefix a browser takes it only over TLS, for this host alone and for all of its paths (RFC 6265bis §4.1.3.2). */
const SECURE_NAME = "__Host-portreeve";
const PLAIN_NAME = "portreeve";
const VALUE = /^[A-Za-z0-9_-]{43}$/;

const nameOf = (secure: boolean): string => (secure ? SECURE_NAME : PLAIN_NAME);

/** The session's secret in a Cookie header; null if there is none. */
export function sessionCookie(header: string | undefined, secure: boolean): string | null {
  const start = `${nameOf(secure)}=`;
  for (const pair of header?.split(/;\s*/) ?? []) {
    if (!pair.startsWith(start)) continue;
    const value = pair.slice(start.length);
    return VALUE.test(value) ? value : null;
  }
  return null;
}

/** `Set-Cookie` for a new session: until the browser is closed, as the server ends it anyway. */
export function setCookie(value: string, secure: boolean): string {
  return `${nameOf(secure)}=${value}; ${attributes(secure)}`;
}

export function clearCookie(secure: boolean): string {
  return `${nameOf(secure)}=; Max-Age=0; ${attributes(secure)}`;
}

const attributes = (secure: boolean): string =>
  ["Path=/", "HttpOnly", "SameSite=Strict", ...(secure ? ["Secure"] : [])].join("; ");
