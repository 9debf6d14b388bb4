import { createSocket, type Socket } from "node:dgram";
import { type DeviceSocket, openDeviceSocket, placeText } from "../../../../lib/device-socket.ts";
import { PortreeveError } from "../../../../lib/errors.ts";
import { isSeveral, type Reply, type Respond } from "../answers/exchange.ts";
import type { DnsListener } from "../../messages.ts";
import { whenTaken } from "./taken-port.ts";

/** Room for a burst of some thousand queries while the thread is busy; the default holds about 250. */
const BUFFER_BYTES = 2 * 1024 * 1024;
/** When the kernel takes no more, so many wait in the process; the rest are lost, as UDP is. */
const SENDS_WAITING_MAX = 256;

export interface OpenSocket {
  close(): Promise<void>;
}

/** The UDP socket of one address; what comes in at it is answered from it. */
export async function openUdp(
  listener: DnsListener,
  respond: Respond,
  onLost: (cause: Error) => void,
): Promise<OpenSocket> {
  const { interface: served, address, port } = listener;
  const place: DeviceSocket = {
    interface: served,
    address,
    port,
    transport: "udp",
    receiveBufferBytes: BUFFER_BYTES,
    sendBufferBytes: BUFFER_BYTES,
    whenTaken: whenTaken(listener),
  };
  const fd = openDeviceSocket(place);
  const family = address.includes(":") ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    // Answers go to addresses: asking a resolver about them costs a turn of the loop each.
    lookup: (host, _options, callback) => callback(null, host, family),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ fd, exclusive: true }, () => {
        socket.off("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.close();
    throw new PortreeveError("UNAVAILABLE", `cannot use the socket on ${placeText(place)}`, "transient", { cause });
  }
  socket.on("error", onLost);
  receive(socket, listener, respond);
  let closed: Promise<void> | null = null;
  return {
    close: () => {
      closed ??= new Promise((resolve) => socket.close(() => resolve()));
      return closed;
    },
  };
}

function receive(socket: Socket, listener: DnsListener, respond: Respond): void {
  let open = true;
  socket.on("close", () => {
    open = false;
  });
  socket.on("message", (bytes, { address, port }) => {
    // Nothing can be answered there, and it may be a reflector's (RFC 5358 has the like).
    if (port === 0) return;
    const send = (reply: Reply): void => {
      if (reply === null || isSeveral(reply) || !open || socket.getSendQueueCount() >= SENDS_WAITING_MAX) return;
      socket.send(reply, port, address, ignore);
    };
    const reply = respond(bytes, { listener, address, port, transport: "udp" });
    if (reply instanceof Promise) void reply.then(send);
    else send(reply);
  });
}

/** With a callback a failed send is no event of the socket. */
function ignore(): void {}
