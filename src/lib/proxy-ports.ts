/**
 * Where our HAProxy listens. The kernel sends it what is for a shared TLS port, or for the redirect to HTTPS; nobody else
 * reaches it there. Below the ports that masquerading gives, and never mapped themselves.
 */
export const TLS_PORT = 60_443;
export const REDIRECT_PORT = 60_080;
export const PROXY_PORTS: ReadonlySet<number> = new Set([TLS_PORT, REDIRECT_PORT]);
