import type { Server, Socket } from "node:net";

/**
 * Closes what one client opens beyond `most` connections at once, so that one that opens all it can leaves room.
 * `clientOf` says which addresses are one client.
 */
export function limitConnectionsPerAddress(
  server: Server,
  most: number,
  clientOf: (remoteAddress: string) => string = (address) => address,
): void {
  const open = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const from = clientOf(socket.remoteAddress ?? "");
    const count = (open.get(from) ?? 0) + 1;
    if (count > most) {
      socket.destroy();
      return;
    }
    open.set(from, count);
    socket.once("close", () => {
      const left = (open.get(from) ?? 1) - 1;
      if (left === 0) open.delete(from);
      else open.set(from, left);
    });
  });
}
