import koffi from "koffi";
import { PortreeveError } from "./errors.ts";
import { parseIpv4 } from "./ip.ts";
import { parseIpv6 } from "./ipv6.ts";

/** Where a socket is: on one interface, at one of its addresses. */
export interface SocketPlace {
  readonly interface: string;
  readonly address: string;
  readonly port: number;
}

export interface DeviceSocket extends SocketPlace {
  readonly transport: "udp" | "tcp";
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
  /** Other programs that say so too may have the same place (UDP): multicast reaches all of them. */
  readonly shared?: boolean;
  /** The sentence for a place that is taken: who that may be, and what to do. */
  readonly whenTaken: string;
}

/** <bits/socket.h>, <asm-generic/socket.h>: the same on every Linux architecture Node runs on. */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  close(fd: number): number;
}

function bindLibc(): Libc {
  const libc = koffi.load("libc.so.6");
  return {
    socket: libc.func("int socket(int domain, int type, int protocol)"),
    setsockopt: libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)"),
    bind: libc.func("int bind(int fd, const void *address, uint32_t length)"),
    close: libc.func("int close(int fd)"),
  };
}
let bound: Libc | undefined;

/**
 * A bound descriptor, to be handed to Node. Binding to an address does not keep other interfaces out: Linux takes a
 * packet for any of its addresses on any interface. SO_BINDTODEVICE does, and Node cannot set it before `bind`.
 * SO_REUSEPORT is not set, and SO_REUSEADDR for TCP, where it is about connections that are over, and for what is
 * `shared` only: a second server must fail, not share the requests.
 */
export function openDeviceSocket(socket: DeviceSocket): number {
  bound ??= bindLibc();
  const libc = bound;
  const family = socket.address.includes(":") ? AF_INET6 : AF_INET;
  const type = socket.transport === "udp" ? SOCK_DGRAM : SOCK_STREAM;
  const fd = libc.socket(family, type | SOCK_CLOEXEC_NONBLOCK, 0);
  if (fd < 0) throw failure("open a socket for", socket);
  try {
    const { receiveBufferBytes, sendBufferBytes } = socket;
    if (receiveBufferBytes !== undefined) setBuffer(libc, fd, [SO_RCVBUFFORCE, SO_RCVBUF], receiveBufferBytes);
    if (sendBufferBytes !== undefined) setBuffer(libc, fd, [SO_SNDBUFFORCE, SO_SNDBUF], sendBufferBytes);
    const reuse = socket.transport === "tcp" || socket.shared === true;
    if (reuse) libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, integer(1), 4);
    const device = Buffer.from(`${socket.interface}\0`);
    if (libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, device.length) < 0) {
      throw failure("bind a socket to the interface of", socket);
    }
    const address = socketAddress(socket);
    if (libc.bind(fd, address, address.length) < 0) throw failure("listen on", socket);
    return fd;
  } catch (cause) {
    libc.close(fd);
    throw cause;
  }
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** The first option needs CAP_NET_ADMIN; the second is cut to net.core.{r,w}mem_max. */
function setBuffer(libc: Libc, fd: number, [force, polite]: readonly [number, number], bytes: number): void {
  const size = integer(bytes);
  if (libc.setsockopt(fd, SOL_SOCKET, force, size, 4) < 0) libc.setsockopt(fd, SOL_SOCKET, polite, size, 4);
}

/** struct sockaddr_in and sockaddr_in6: family in host order (little-endian on what Node supports), the rest in network order. */
function socketAddress({ address, port }: SocketPlace): Buffer {
  const ipv4 = parseIpv4(address);
  const ipv6 = ipv4 === null ? parseIpv6(address) : null;
  if (ipv4 === null && ipv6 === null)
    throw new PortreeveError("CONFIG_INVALID", `${address} is no address`, "terminal");
  const bytes = Buffer.alloc(ipv4 === null ? 28 : 16);
  bytes.writeUInt16LE(ipv4 === null ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  if (ipv4 !== null) bytes.writeUInt32BE(ipv4, 4);
  for (const [index, group] of (ipv6 ?? []).entries()) bytes.writeUInt16BE(group, 8 + index * 2);
  return bytes;
}

export function placeText({ interface: device, address, port, transport }: DeviceSocket): string {
  return `${address} port ${port} (${transport.toUpperCase()}) on ${device}`;
}

function failure(action: string, socket: DeviceSocket): PortreeveError {
  const errno = koffi.errno();
  const what = `cannot ${action} ${placeText(socket)}`;
  switch (errno) {
    case koffi.os.errno["EADDRINUSE"]:
      return new PortreeveError("UNAVAILABLE", `${what}: ${socket.whenTaken}`, "transient");
    case koffi.os.errno["EADDRNOTAVAIL"]:
      return new PortreeveError("UNAVAILABLE", `${what}: the machine does not have this address now`, "transient");
    case koffi.os.errno["ENODEV"]:
      return new PortreeveError("UNAVAILABLE", `${what}: there is no such interface now`, "transient");
    case koffi.os.errno["EPERM"]:
    case koffi.os.errno["EACCES"]:
      return new PortreeveError("PERMISSION", `${what}: that needs CAP_NET_RAW or root`, "terminal");
    default:
      return new PortreeveError("UNAVAILABLE", `${what}: errno ${errno}`, "transient");
  }
}
