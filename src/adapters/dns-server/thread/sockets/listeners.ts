import { OpenListeners } from "../../../../lib/open-listeners.ts";
import type { Respond } from "../answers/exchange.ts";
import { type DnsListener, listenerKey } from "../../messages.ts";
import { Connections, openTcp } from "./tcp-listener.ts";
import { openUdp, type OpenSocket } from "./udp-listener.ts";

/** A UDP and a TCP socket for each address; both, or the address is not served. */
export function createListeners(
  respond: Respond,
  onLost: (listener: DnsListener, message: string) => void,
): OpenListeners<DnsListener, readonly OpenSocket[]> {
  const connections = new Connections();
  return new OpenListeners<DnsListener, readonly OpenSocket[]>({
    keyOf: listenerKey,
    async open(listener, lost) {
      const udp = await openUdp(listener, respond, lost);
      try {
        return [udp, await openTcp(listener, respond, connections, lost)];
      } catch (cause) {
        await udp.close();
        throw cause;
      }
    },
    async close(sockets) {
      await Promise.all(sockets.map((socket) => socket.close()));
    },
    onLost: (listener, cause) => onLost(listener, cause.message),
  });
}
