import { createSocket, type Socket } from "node:dgram";
import { type DeviceSocket, openDeviceSocket, placeText } from "../../lib/device-socket.ts";
import { PortreeveError } from "../../lib/errors.ts";
import { SSDP_GROUP, SSDP_PORT } from "../../protocols/upnp/ssdp.ts";
import type { Endpoint } from "./endpoint.ts";

export interface SsdpSockets {
  onDatagram(listener: (bytes: Uint8Array, source: Endpoint, how: "multicast" | "unicast") => void): void;
  /** They are of no more use, for example because the interface is gone. */
  onFailure(listener: (cause: Error) => void): void;
  /** From the address served; best effort, as UDP is. */
  send(message: string, to: Endpoint): void;
  close(): Promise<void>;
}

/** SEC-04: no further than the link, and what a router that forwards multicast lets through once. */
const HOPS = 2;
const RECEIVE_BUFFER_BYTES = 256 * 1024;
const SENDS_WAITING_MAX = 256;

/**
 * Two sockets for an address: one at the address itself, which answers and announces, and one that hears the group on
 * the interface. Shared, as other SSDP servers (minidlna, rygel) want them too; the one at the address gets what is sent
 * to the address alone.
 */
export async function openSsdpSockets(place: { interface: string; address: string }): Promise<SsdpSockets> {
  const whenTaken = "it is in use by another SSDP server that does not share it; stop that one (ss -ulpn names it)";
  const device = (address: string): DeviceSocket => {
    const { interface: served } = place;
    const buffer = { receiveBufferBytes: RECEIVE_BUFFER_BYTES };
    return { interface: served, address, port: SSDP_PORT, transport: "udp", shared: true, ...buffer, whenTaken };
  };
  const own = await opened(device(place.address));
  try {
    own.setMulticastInterface(place.address);
    own.setMulticastTTL(HOPS);
    own.setMulticastLoopback(false);
    const group = await opened(device(SSDP_GROUP));
    try {
      group.addMembership(SSDP_GROUP, place.address);
    } catch (cause) {
      group.close();
      throw cause;
    }
    return wrap(own, group);
  } catch (cause) {
    own.close();
    if (cause instanceof PortreeveError) throw cause;
    const why = `cannot use the sockets on ${placeText(device(place.address))}`;
    throw new PortreeveError("UNAVAILABLE", why, "transient", { cause });
  }
}

async function opened(device: DeviceSocket): Promise<Socket> {
  const fd = openDeviceSocket(device);
  const socket = createSocket({ type: "udp4" });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ fd, exclusive: true }, () => {
      socket.off("error", reject);
      resolve();
    });
  });
  return socket;
}

function wrap(own: Socket, group: Socket): SsdpSockets {
  const both = [own, group];
  const sending = new Set<Promise<void>>();
  let closed: Promise<void> | null = null;
  // Without a listener an error would end the process; it is also what a send that has no callback would raise.
  for (const socket of both) socket.on("error", () => undefined);
  return {
    onDatagram: (listener) => {
      own.on("message", (bytes, { address, port }) => listener(bytes, { address, port }, "unicast"));
      group.on("message", (bytes, { address, port }) => listener(bytes, { address, port }, "multicast"));
    },
    onFailure: (listener) => {
      for (const socket of both) socket.on("error", listener);
    },
    send: (message, { address, port }) => {
      if (closed !== null || sending.size >= SENDS_WAITING_MAX) return;
      const sent = new Promise<void>((resolve) => own.send(message, port, address, () => resolve()));
      sending.add(sent);
      void sent.then(() => sending.delete(sent));
    },
    close: () => {
      closed ??= closeAll(both, [...sending]);
      return closed;
    },
  };
}

/** Node sends in a later turn: a goodbye that is said last has to be out before. */
async function closeAll(sockets: readonly Socket[], sending: readonly Promise<void>[]): Promise<void> {
  await Promise.all(sending);
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
}
