import type { Server, Socket } from "node:net";
import { type DeviceSocket, openDeviceSocket, placeText } from "./device-socket.ts";
import { PortreeveError } from "./errors.ts";

const BACKLOG = 128;

/** Has a TCP server listen on one address of a device. */
export async function listenOnDevice(server: Server, device: DeviceSocket): Promise<void> {
  const fd = openDeviceSocket(device);
  try {
    await listening(server, fd);
  } catch (cause) {
    server.close();
    const isTaken = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
    const why = `cannot listen on ${placeText(device)}${isTaken ? `: ${device.whenTaken}` : ""}`;
    throw new PortreeveError("UNAVAILABLE", why, "transient", { cause });
  }
}

function listening(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd, backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** A server whose connections end with it: of itself it waits for them. */
export function endsConnections(server: Server): { close(): Promise<void> } {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  let closed: Promise<void> | null = null;
  return {
    close: () => {
      for (const socket of open) socket.destroy();
      closed ??= new Promise((resolve) => server.close(() => resolve()));
      return closed;
    },
  };
}
