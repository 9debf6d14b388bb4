import type { Listener } from "../../lib/served-address.ts";
import type { BoundSocket } from "./bound-socket.ts";

/** A listener with its socket. */
export interface Link extends Listener {
  readonly socket: BoundSocket;
}
