import { createSocket, type Socket } from "node:dgram";
import koffi from "koffi";
import { PortreeveError } from "../../lib/errors.ts";
import { parseIpv4 } from "../../lib/ip.ts";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A UDP socket that hears one address on one interface and answers from that address. */
export interface BoundSocket {
  onDatagram(listener: (bytes: Uint8Array, source: Endpoint) => void): void;
  /** The socket is of no more use, for example because its interface is gone. */
  onFailure(listener: (cause: Error) => void): void;
  /** Best effort, as UDP is. */
  send(bytes: Uint8Array, to: Endpoint): void;
  close(): Promise<void>;
}

export interface SocketPlace {
  readonly interface: string;
  readonly address: string;
  readonly port: number;
}

/** <bits/socket.h>, <asm-generic/socket.h>: the same on every Linux architecture Node runs on. */
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

/** Room for a burst of some thousand requests while the process is busy: the default holds about 250. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;

/**
 * A reply to an address that nobody has counts against this until ARP gives up, 3 s later; at the default of 208 KiB a
 * few hundred of them silence the socket for everyone. Of the 3,000 requests a second that the guard lets through in
 * all, at the default rate for a device, each small reply is charged 768 bytes, so 7 MB can wait at once; the kernel
 * doubles what is asked for.
 */
const SEND_BUFFER_BYTES = 8 * 1024 * 1024;

/** When even that is full, datagrams wait in the process: few, or a flood would fill the memory. The rest are lost. */
const SENDS_WAITING_MAX = 256;

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
 * Binding to an address does not keep other interfaces out: Linux takes a packet for any of its addresses on any
 * interface. SO_BINDTODEVICE does, and Node cannot set it before `bind`, so the socket is made here and handed over.
 * Neither SO_REUSEADDR nor SO_REUSEPORT is set: a second server must fail, not share the requests.
 */
export async function openBoundSocket(place: SocketPlace): Promise<BoundSocket> {
  bound ??= bindLibc();
  const libc = bound;
  const fd = openDescriptor(libc, place);
  const socket = createSocket({ type: "udp4" });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ fd, exclusive: true }, () => {
        socket.off("error", reject);
        resolve();
      });
    });
    // RFC 6886 §3.2.1, RFC 6887 §14.1.2: announcements stay on this link.
    socket.setMulticastInterface(place.address);
    socket.setMulticastTTL(1);
    socket.setMulticastLoopback(false);
  } catch (cause) {
    socket.close();
    throw new PortreeveError("UNAVAILABLE", `cannot use the socket on ${nameOf(place)}`, "transient", { cause });
  }
  return wrap(socket);
}

function openDescriptor(libc: Libc, place: SocketPlace): number {
  const fd = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  if (fd < 0) throw failure("open a UDP socket for", place);
  try {
    setBuffer(libc, fd, [SO_RCVBUFFORCE, SO_RCVBUF], RECEIVE_BUFFER_BYTES);
    setBuffer(libc, fd, [SO_SNDBUFFORCE, SO_SNDBUF], SEND_BUFFER_BYTES);
    const device = Buffer.from(`${place.interface}\0`);
    if (libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, device.length) < 0) {
      throw failure("bind a UDP socket to the interface of", place);
    }
    if (libc.bind(fd, socketAddress(place), 16) < 0) throw failure("listen on", place);
    return fd;
  } catch (cause) {
    libc.close(fd);
    throw cause;
  }
}

/** The first option needs CAP_NET_ADMIN; the second is cut to net.core.{r,w}mem_max. */
function setBuffer(libc: Libc, fd: number, [force, polite]: readonly [number, number], bytes: number): void {
  const size = Buffer.alloc(4);
  size.writeInt32LE(bytes);
  if (libc.setsockopt(fd, SOL_SOCKET, force, size, 4) < 0) libc.setsockopt(fd, SOL_SOCKET, polite, size, 4);
}

/** struct sockaddr_in: family in host order (little-endian on what Node supports), the rest in network order. */
function socketAddress({ address, port }: SocketPlace): Buffer {
  const value = parseIpv4(address);
  if (value === null) throw new PortreeveError("CONFIG_INVALID", `${address} is not an IPv4 address`, "terminal");
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.writeUInt32BE(value, 4);
  return bytes;
}

function nameOf({ interface: device, address, port }: SocketPlace): string {
  return `${address} port ${port} (UDP) on ${device}`;
}

function failure(action: string, place: SocketPlace): PortreeveError {
  const errno = koffi.errno();
  const what = `cannot ${action} ${nameOf(place)}`;
  switch (errno) {
    case koffi.os.errno["EADDRINUSE"]:
      return new PortreeveError(
        "UNAVAILABLE",
        `${what}: it is in use by another port-control server such as miniupnpd; stop that one (ss -ulpn names it)`,
        "transient",
      );
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

function wrap(socket: Socket): BoundSocket {
  let closed: Promise<void> | null = null;
  // Without a listener an error would end the process; it is also what a send that has no callback would raise.
  socket.on("error", () => undefined);
  return {
    onDatagram: (listener) => {
      socket.on("message", (bytes, { address, port }) => listener(bytes, { address, port }));
    },
    onFailure: (listener) => {
      socket.on("error", listener);
    },
    send: (bytes, { address, port }) => {
      if (closed !== null || socket.getSendQueueCount() >= SENDS_WAITING_MAX) return;
      socket.send(bytes, port, address, () => undefined);
    },
    close: () => {
      closed ??= new Promise((resolve) => socket.close(() => resolve()));
      return closed;
    },
  };
}
