import { createHash } from "node:crypto";
import { REDIRECT_PORT, TLS_PORT } from "../../lib/proxy-ports.ts";
import { CLIENT_HELLO_LUA } from "./client-hello-lua.ts";

/**
 * As HAProxy reaches its folder: by a descriptor that it was started with, as its user may not be let into what that
 * folder is below.
 */
export const FOLDER_DESCRIPTOR = 3;
const FOLDER = `/proc/self/fd/${FOLDER_DESCRIPTOR}`;
export const asHaproxySees = (name: string): string => `${FOLDER}/${name}`;

/** Names in that folder. */
export const FILES = {
  lua: "client-hello.lua",
  routes: "routes.map",
  segments: "segments.map",
  redirects: "redirects.map",
  /** In a folder of its own, the only one that HAProxy itself may write. */
  socket: "admin/socket",
} as const;

/** Connections each of which anybody may open, so each of them is counted. */
export interface ProxyLimits {
  /** All at once: a buffer of 16 KiB each while its ClientHello comes in, a few hundred bytes after. */
  readonly connections: number;
  /** Of one source at once. Offices and mobile networks are one source each. */
  readonly connectionsPerSource: number;
  /** Of one source, new ones a second, over ten seconds. */
  readonly ratePerSource: number;
}

export const LIMITS: ProxyLimits = { connections: 10_000, connectionsPerSource: 1000, ratePerSource: 500 };

/** Two sockets a connection, and for every fourth one a pipe (`maxpipes`) to splice through; and its own. */
const FILES_PER_CONNECTION = 2.5;
const FILES_OF_ITS_OWN = 100;

/** What fits into so many open files, as HAProxy does not start where it might not get them. */
export function limitsWithin(limits: ProxyLimits, openFilesMax: number): ProxyLimits {
  const connections = Math.floor((openFilesMax - FILES_OF_ITS_OWN) / FILES_PER_CONNECTION);
  return { ...limits, connections: Math.max(100, Math.min(limits.connections, connections)) };
}

/** How long somebody may take to say whom he wants, in all. */
const HELLO_WITHIN_S = 5;
/** Of a ClientHello, with the headers of its records. */
const HELLO_MAX = 16_384;
/** HAProxy keeps this much of a buffer free. */
const REWRITE = 1024;
/** Of the redirect: it has nothing to say that takes long. */
const REDIRECTS_AT_ONCE = 500;
/** Beyond what any page's address needs; the answer has it in it. */
const PATH_MAX = 4096;
/** A name with or without a port. */
const HOST =
  "^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*[.]?(:[0-9]{1,5})?$";
const HOST_MAX = 260;

/** `portreeve <instance> <fingerprint>`: whose it is, and whether it was started with what we would start it with. */
export function descriptionOf(instanceId: string, body: string): string {
  const fingerprint = createHash("sha256").update(body).update(CLIENT_HELLO_LUA).digest("hex").slice(0, 16);
  return `portreeve ${instanceId} ${fingerprint}`;
}

/** Written once: all that changes while it runs is in the maps. */
export function haproxyConfig(instanceId: string, limits: ProxyLimits): { text: string; description: string } {
  const body = [globalLines(limits), defaults(), tls(limits), redirect(limits), tables()].flat().join("\n");
  const description = descriptionOf(instanceId, body);
  return { text: `global\n  description "${description}"\n${body}\n`, description };
}

function globalLines({ connections }: ProxyLimits): string[] {
  return [
    `  maxconn ${connections}`,
    // Else another program of the same user could listen beside it, and have every other connection.
    "  noreuseport",
    `  stats socket unix@${asHaproxySees(FILES.socket)} mode 600 level admin`,
    "  stats timeout 1d",
    `  lua-load-per-thread ${asHaproxySees(FILES.lua)}`,
    `  tune.bufsize ${HELLO_MAX + REWRITE}`,
    `  tune.maxrewrite ${REWRITE}`,
    `  tune.pipesize ${PIPE_OCTETS}`,
    // What one that was replaced still carries.
    "  hard-stop-after 24h",
  ];
}

function defaults(): string[] {
  return [
    "defaults",
    "  timeout connect 5s",
    "  retries 1",
    // Peers that are gone are found by asking them (keepalive); one that is there may be silent for long.
    "  timeout client 24h",
    "  timeout server 24h",
    "  timeout client-fin 5m",
    "  timeout server-fin 5m",
    ...["clitcpka", "srvtcpka"].flatMap((leg) => [
      `  option ${leg}`,
      `  ${leg}-idle 60s`,
      `  ${leg}-intvl 10s`,
      `  ${leg}-cnt 6`,
    ]),
  ];
}

/** Refused before anything is kept of it. */
function sourceLimits({ connectionsPerSource, ratePerSource }: ProxyLimits): string[] {
  return [
    "  tcp-request connection track-sc0 src table sources",
    `  tcp-request connection reject if { sc0_conn_cur gt ${connectionsPerSource} }`,
    `  tcp-request connection reject if { sc0_conn_rate gt ${ratePerSource * 10} }`,
  ];
}

/**
 * From socket to socket within the kernel: half the work for each octet of what `splice-auto` costs, which takes a bulk
 * transfer for many small pieces as soon as the machine is busy.
 */
const SPLICED = ["  option splice-request", "  option splice-response"];
/** As much of a user's 64 MiB of pipes (fs.pipe-user-pages-soft) as leaves room for hundreds that are full. */
const PIPE_OCTETS = 262_144;

/** Keys of the map: `address:port/name`, `address:port/*.parent`, and `address:port/` for all else. */
function tls(limits: ProxyLimits): string[] {
  const found = "{ var(sess.to) -m found }";
  const look = (key: string, unless: string): string[] => [
    `  tcp-request content set-var-fmt(sess.key) "%[dst]:%[dst_port]/${key}"${unless}`,
    `  tcp-request content set-var(sess.to) var(sess.key),map_str(${asHaproxySees(FILES.routes)})${unless}`,
  ];
  return [
    "frontend tls",
    "  mode tcp",
    `  bind 0.0.0.0:${TLS_PORT}`,
    ...SPLICED,
    ...sourceLimits(limits),
    `  tcp-request inspect-delay ${HELLO_WITHIN_S}s`,
    "  tcp-request content reject unless { req.len gt 0 }",
    "  tcp-request content set-var(sess.name) lua.server_name",
    // Waits for more of it, until there is no more time or room.
    "  tcp-request content reject if { var(sess.name) -m len 0 } WAIT_END",
    ...look("%[var(sess.name)]", ""),
    ...look("%[var(sess.name),regsub(^[^.]*,*)]", ` unless ${found}`),
    ...look("", ` unless ${found}`),
    `  tcp-request content reject unless ${found}`,
    "  tcp-request content track-sc1 var(sess.key) table hits",
    `  tcp-request content set-var(sess.near) src,map_ip(${asHaproxySees(FILES.segments)})`,
    "  tcp-request content set-dst var(sess.to),field(1,:)",
    "  tcp-request content set-dst-port var(sess.to),field(2,:)",
    `  tcp-request content set-var(sess.far) dst,map_ip(${asHaproxySees(FILES.segments)})`,
    "  use_backend from_gateway if { var(sess.to),field(3,:) -m str gateway }",
    "  use_backend from_gateway if { var(sess.near),strcmp(sess.far) eq 0 }",
    "  default_backend from_client",
    "backend from_client",
    "  mode tcp",
    ...SPLICED,
    "  source 0.0.0.0 usesrc clientip",
    "  server target 0.0.0.0:0",
    "backend from_gateway",
    "  mode tcp",
    ...SPLICED,
    "  server target 0.0.0.0:0",
  ];
}

function redirect(limits: ProxyLimits): string[] {
  const refuse = "  http-request deny deny_status 400";
  return [
    "frontend redirect",
    "  mode http",
    `  bind 0.0.0.0:${REDIRECT_PORT}`,
    `  maxconn ${Math.min(REDIRECTS_AT_ONCE, Math.ceil(limits.connections / 10))}`,
    "  timeout client 5s",
    "  timeout http-request 5s",
    "  option httpclose",
    ...sourceLimits(limits),
    `  tcp-request connection reject unless { dst,map_ip(${asHaproxySees(FILES.redirects)}) -m found }`,
    `${refuse} unless { req.fhdr_cnt(host) eq 1 } { req.fhdr(host) -m len 1:${HOST_MAX} }`,
    `${refuse} unless { req.fhdr(host) -m reg ${HOST} }`,
    `${refuse} unless { pathq -m beg / } { pathq -m len 1:${PATH_MAX} }`,
    '  http-request redirect code 308 location "https://%[req.fhdr(host),field(1,:),lower]%[pathq]"',
  ];
}

function tables(): string[] {
  return [
    "backend sources",
    "  stick-table type ip size 100k expire 1m store conn_cur,conn_rate(10s)",
    "backend hits",
    "  stick-table type string len 300 size 20k store conn_cnt,conn_cur",
  ];
}
