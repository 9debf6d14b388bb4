import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { causeText, UpstreamFault, WITHDRAWN } from "./upstream-fault.ts";
import { kinship, type UpstreamQuery } from "./upstream-query.ts";

/** The kernel's own range for ports of nobody in particular (ip_local_port_range): no service is asked to listen in it. */
const PORTS = { first: 32_768, last: 60_999 };
const PORT_TRIES = 8;
/** More than this many datagrams that are no answer, and somebody is guessing: TCP then (RFC 5452 §9.2). */
const STRAY_MAX = 64;

/**
 * Asks once. A socket for this query alone, on a port by chance (RFC 5452 §9.2), connected, so that the kernel takes
 * datagrams of this server only and says when it is not there. What does not match is dropped and the waiting goes on.
 */
export async function askByUdp(
  server: { readonly address: string; readonly port: number },
  query: UpstreamQuery,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const socket = await boundSocket(server.address);
  try {
    return await exchange(socket, server, query, signal);
  } finally {
    socket.close();
  }
}

function exchange(
  socket: Socket,
  server: { readonly address: string; readonly port: number },
  query: UpstreamQuery,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(WITHDRAWN);
    signal.addEventListener("abort", () => reject(WITHDRAWN), { once: true });
    const unreachable = (cause: Error): void => reject(new UpstreamFault("unreachable", causeText(cause)));
    socket.on("error", unreachable);
    let strays = 0;
    socket.on("message", (bytes) => {
      const kind = kinship(bytes, query);
      if (kind === "answer" || kind === "bare-refusal") return resolve(bytes);
      if (kind === "other-case") return reject(new UpstreamFault("other-case", "the answer is in other case"));
      strays += 1;
      if (strays > STRAY_MAX) reject(new UpstreamFault("flooded", `${strays} datagrams that are no answer`));
    });
    // Not as the callback of `connect`, which Node also calls where no route leads: then it is an `error` without one.
    socket.once("connect", () => {
      // Closed in between, there is nobody to send for.
      if (!signal.aborted) socket.send(query.bytes, (cause) => cause !== null && unreachable(cause));
    });
    socket.connect(server.port, server.address);
  });
}

async function boundSocket(address: string): Promise<Socket> {
  for (let tries = 1; ; tries += 1) {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    const port = tries < PORT_TRIES ? randomInt(PORTS.first, PORTS.last + 1) : 0;
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind({ port, exclusive: true }, () => {
          socket.off("error", reject);
          resolve();
        });
      });
      return socket;
    } catch (cause) {
      socket.close();
      if (tries >= PORT_TRIES) throw new UpstreamFault("unreachable", causeText(cause));
    }
  }
}
