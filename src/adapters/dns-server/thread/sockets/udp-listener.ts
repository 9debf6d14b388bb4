import { createSocket, type Socket } from "node:dgram";
import { type DeviceSocket, openDeviceSocket, placeText } from "../../../../lib/device-socket.ts";
import { PortreeveError } from "../../../../lib/errors.ts";
import { isSeveral, type Reply, type Respond } from "../answers/exchange.ts";
import type { DnsListener } from "../../messages.ts";
import { BATCH, DatagramBatch, type Outgoing, SENT_OCTETS_MAX } from "./datagram-batch.ts";
import { whenTaken } from "./taken-port.ts";

/** Room for a burst of some thousand queries while the thread is busy; the default holds about 250. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;
/**
 * An answer to who is not there takes room for the 3 s in which ARP asks for it, up to 208 KiB for each neighbour
 * (`unres_qlen_bytes`): by false sources a whole /24 may be waited for, and nobody else's answers are to wait with them.
 */
const SEND_BUFFER_BYTES = 32 * 1024 * 1024;
/** When the kernel takes no more, so many wait in the process; the rest are lost, as UDP is. */
const SENDS_WAITING_MAX = 256;
/** Then it is the turn of TCP, of timers and of what the controller says, whatever waits here. */
const BATCHES_OF_TURN = 4;

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
    receiveBufferBytes: RECEIVE_BUFFER_BYTES,
    sendBufferBytes: SEND_BUFFER_BYTES,
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
  const answering = new Answering(socket, fd, listener, respond);
  let closed: Promise<void> | null = null;
  return {
    close: () => {
      closed ??= answering.close();
      return closed;
    },
  };
}

let batch: DatagramBatch | undefined;

/**
 * Node tells that there is a datagram, and gives it; what else waits by then is taken all at once. So a lone query has its
 * answer as soon as ever, and a burst costs few calls.
 */
class Answering {
  readonly #socket: Socket;
  readonly #fd: number;
  readonly #listener: DnsListener;
  readonly #respond: Respond;
  readonly #batch = (batch ??= new DatagramBatch());
  #outgoing: Outgoing[] = [];
  #batches = 0;
  #turnEnds = false;
  #isOpen = true;

  constructor(socket: Socket, fd: number, listener: DnsListener, respond: Respond) {
    this.#socket = socket;
    this.#fd = fd;
    this.#listener = listener;
    this.#respond = respond;
    socket.on("message", (bytes, { address, port }) => {
      this.#answer(bytes, address, port, (reply) => this.#sendByNode(reply, address, port));
      this.#answerWaiting();
    });
  }

  /** The descriptor is another's as soon as Node has closed it. */
  close(): Promise<void> {
    this.#isOpen = false;
    this.#outgoing = [];
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #answerWaiting(): void {
    if (!this.#isOpen || this.#batches === BATCHES_OF_TURN) return;
    this.#batches += 1;
    this.#atEndOfTurn();
    const { interface: zone } = this.#listener;
    this.#batch.receive(this.#fd, zone, (bytes, peer) => {
      this.#answer(bytes, peer.address, peer.port, (reply) => this.#add({ bytes: reply, peer }));
    });
    this.#send();
  }

  #answer(bytes: Uint8Array, address: string, port: number, send: (reply: Uint8Array) => void): void {
    // Nothing can be answered there, and it may be a reflector's (RFC 5358 has the like).
    if (port === 0) return;
    const reply = this.#respond(bytes, { listener: this.#listener, address, port, transport: "udp" });
    const take = (ready: Reply): void => {
      if (ready !== null && !isSeveral(ready) && this.#isOpen) send(ready);
    };
    if (reply instanceof Promise) void reply.then(take);
    else take(reply);
  }

  /** Those that are ready in one turn of the loop go together. */
  #add(outgoing: Outgoing): void {
    const { bytes, peer } = outgoing;
    if (bytes.length > SENT_OCTETS_MAX) return this.#sendByNode(bytes, peer.address, peer.port);
    if (this.#outgoing.push(outgoing) === BATCH) this.#send();
    this.#atEndOfTurn();
  }

  #atEndOfTurn(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    setImmediate(() => {
      this.#turnEnds = false;
      this.#batches = 0;
      this.#send();
    });
  }

  #send(): void {
    const outgoing = this.#outgoing;
    if (outgoing.length === 0) return;
    this.#outgoing = [];
    const done = this.#batch.send(this.#fd, outgoing);
    for (const { bytes, peer } of outgoing.slice(done)) this.#sendByNode(bytes, peer.address, peer.port);
  }

  #sendByNode(bytes: Uint8Array, address: string, port: number): void {
    if (this.#socket.getSendQueueCount() < SENDS_WAITING_MAX) this.#socket.send(bytes, port, address, ignore);
  }
}

/** With a callback a failed send is no event of the socket. */
function ignore(): void {}
