import { createSocket, type Socket } from "node:dgram";
import { type DeviceSocket, openDeviceSocket, placeText, type SocketPlace } from "../../lib/device-socket.ts";
import { PortreeveError } from "../../lib/errors.ts";
import { isIpv6 } from "../../lib/ipv6.ts";

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

/** Taken as Node's own socket; `openDeviceSocket` says why it is made elsewhere. */
export async function openBoundSocket(place: SocketPlace): Promise<BoundSocket> {
  const device: DeviceSocket = {
    ...place,
    transport: "udp",
    receiveBufferBytes: RECEIVE_BUFFER_BYTES,
    sendBufferBytes: SEND_BUFFER_BYTES,
    whenTaken: "it is in use by another port-control server such as miniupnpd; stop that one (ss -ulpn names it)",
  };
  const fd = openDeviceSocket(device);
  const ipv6 = isIpv6(place.address);
  const socket = createSocket({ type: ipv6 ? "udp6" : "udp4" });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ fd, exclusive: true }, () => {
        socket.off("error", reject);
        resolve();
      });
    });
    // RFC 6886 §3.2.1, RFC 6887 §14.1.2: announcements stay on this link.
    socket.setMulticastInterface(ipv6 ? `::%${place.interface}` : place.address);
    socket.setMulticastTTL(1);
    socket.setMulticastLoopback(false);
  } catch (cause) {
    socket.close();
    throw new PortreeveError("UNAVAILABLE", `cannot use the socket on ${placeText(device)}`, "transient", { cause });
  }
  return wrap(socket);
}

const withoutZone = (address: string): string => address.split("%")[0] ?? address;

function wrap(socket: Socket): BoundSocket {
  let closed: Promise<void> | null = null;
  // Without a listener an error would end the process; it is also what a send that has no callback would raise.
  socket.on("error", () => undefined);
  return {
    onDatagram: (listener) => {
      // The socket is of one interface: no scope has to be named.
      socket.on("message", (bytes, { address, port }) => listener(bytes, { address: withoutZone(address), port }));
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
