import type { BoundSocket, Endpoint } from "../../../../src/adapters/pcp-server/bound-socket.ts";
import type { SocketPlace } from "../../../../src/lib/device-socket.ts";
import { PortreeveError } from "../../../../src/lib/errors.ts";
import { toHex } from "../../protocols/hex.ts";

export interface Sent {
  readonly bytes: string;
  readonly to: string;
}

/** A socket whose datagrams the test makes and reads. */
export class FakeSocket implements BoundSocket {
  readonly place: SocketPlace;
  readonly sent: Sent[] = [];
  closed = false;
  #receive: (bytes: Uint8Array, source: Endpoint) => void = () => undefined;
  #fail: (cause: Error) => void = () => undefined;

  constructor(place: SocketPlace) {
    this.place = place;
  }

  arrive(bytes: Uint8Array, source: Endpoint): void {
    this.#receive(bytes, source);
  }

  breakDown(): void {
    this.#fail(new Error("ENETDOWN"));
  }

  onDatagram(listener: (bytes: Uint8Array, source: Endpoint) => void): void {
    this.#receive = listener;
  }

  onFailure(listener: (cause: Error) => void): void {
    this.#fail = listener;
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    if (!this.closed) this.sent.push({ bytes: toHex(bytes), to: `${to.address}:${to.port}` });
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** All sockets a server has opened; addresses in `taken` are someone else's, and none is ever bound twice. */
export class FakeSockets {
  readonly opened: FakeSocket[] = [];
  readonly taken = new Set<string>();

  open = (place: SocketPlace): Promise<FakeSocket> => {
    const held = this.opened.some((socket) => !socket.closed && socket.place.address === place.address);
    if (held || this.taken.has(place.address)) {
      return Promise.reject(new PortreeveError("UNAVAILABLE", `${place.address} is in use`, "transient"));
    }
    const socket = new FakeSocket(place);
    this.opened.push(socket);
    return Promise.resolve(socket);
  };

  /** The open socket of an address. */
  at(address: string): FakeSocket {
    const socket = this.opened.find((each) => !each.closed && each.place.address === address);
    if (socket === undefined) throw new Error(`no open socket at ${address}`);
    return socket;
  }
}
