import koffi from "koffi";
import { formatIpv6 } from "../../../../lib/ipv6.ts";

/**
 * Datagrams by the dozen: recvmmsg(2) and sendmmsg(2). Node reads and sends them one by one, and that is more than half of
 * what an answer from memory costs.
 */
export const BATCH = 64;
/** The longest there is, so nothing is cut. Pages that nothing was ever written to take no memory. */
const RECEIVED_OCTETS_MAX = 65_536;
/** Answers are far below it (RFC 9715 §3.2); longer ones are for Node to send. */
export const SENT_OCTETS_MAX = 4096;

/** <bits/socket.h>: the same on every Linux architecture Node runs on. */
const MSG_DONTWAIT = 0x40;
const AF_INET6 = 10;
/** struct sockaddr_in6; sockaddr_in has 16. */
const NAME_OCTETS = 28;

/** Who sent a datagram, and where its answer goes. */
export interface Peer {
  /** As Node writes it, with the interface where it means something on that link only: `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
  /** struct sockaddr_in or sockaddr_in6, as the kernel wrote it. */
  readonly name: Uint8Array;
}

export interface Outgoing {
  /** At most SENT_OCTETS_MAX octets. */
  readonly bytes: Uint8Array;
  readonly peer: Peer;
}

/** <sys/socket.h>, <bits/types/struct_iovec.h>: koffi knows the padding. */
const IOVEC = koffi.struct({ base: "void *", length: "size_t" });
const MSGHDR = koffi.struct({
  name: "void *",
  nameLength: "uint32_t",
  vector: "void *",
  vectorLength: "size_t",
  control: "void *",
  controlLength: "size_t",
  flags: "int",
});
const MMSGHDR = koffi.struct({ header: MSGHDR, length: "uint32_t" });
const [HEADER_OCTETS, VECTOR_OCTETS] = [koffi.sizeof(MMSGHDR), koffi.sizeof(IOVEC)];
const LENGTH_AT = koffi.offsetof(MMSGHDR, "length");
const NAME_LENGTH_AT = koffi.offsetof(MSGHDR, "nameLength");
const VECTOR_LENGTH_AT = koffi.offsetof(IOVEC, "length");

const FULL: ReadonlySet<number | undefined> = new Set([koffi.os.errno["EAGAIN"], koffi.os.errno["ENOBUFS"]]);

function bindLibc() {
  const libc = koffi.load("libc.so.6");
  return {
    recvmmsg: libc.func("int recvmmsg(int fd, void *messages, uint32_t count, int flags, void *timeout)"),
    sendmmsg: libc.func("int sendmmsg(int fd, void *messages, uint32_t count, int flags)"),
  };
}

/** BATCH messages in the kernel's form, each with an address and one piece of `data`. */
function messages(octets: number) {
  const [headers, vectors] = [Buffer.alloc(BATCH * HEADER_OCTETS), Buffer.alloc(BATCH * VECTOR_OCTETS)];
  const [names, data] = [Buffer.alloc(BATCH * NAME_OCTETS), Buffer.alloc(BATCH * octets)];
  const at = (buffer: Buffer, offset: number): bigint => koffi.address(buffer) + BigInt(offset);
  for (let index = 0; index < BATCH; index += 1) {
    const vector = { base: at(data, index * octets), length: octets };
    koffi.encode(vectors, index * VECTOR_OCTETS, IOVEC, vector);
    const name = at(names, index * NAME_OCTETS);
    const header = { name, nameLength: NAME_OCTETS, vector: at(vectors, index * VECTOR_OCTETS), vectorLength: 1 };
    const rest = { control: null, controlLength: 0, flags: 0 };
    koffi.encode(headers, index * HEADER_OCTETS, MMSGHDR, { header: { ...header, ...rest }, length: 0 });
  }
  return { headers, vectors, names, data };
}

/** Of one thread, for all its sockets: between two calls nothing is kept here. */
export class DatagramBatch {
  readonly #libc = bindLibc();
  readonly #received = messages(RECEIVED_OCTETS_MAX);
  readonly #sent = messages(SENT_OCTETS_MAX);

  /** What waits at the socket, BATCH at most. `zone`: its interface, for addresses of a link. */
  receive(fd: number, zone: string, each: (bytes: Buffer, peer: Peer) => void): void {
    const { headers, names, data } = this.#received;
    // Below zero where nothing waits; that a socket has failed is for Node to notice.
    const count: number = this.#libc.recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, null);
    for (let index = 0; index < count; index += 1) {
      const header = index * HEADER_OCTETS;
      const length = headers.readUInt32LE(header + LENGTH_AT);
      const nameLength = headers.readUInt32LE(header + NAME_LENGTH_AT);
      // The kernel leaves the length there, and takes it for the room there is the next time.
      headers.writeUInt32LE(NAME_OCTETS, header + NAME_LENGTH_AT);
      const [start, name] = [index * RECEIVED_OCTETS_MAX, index * NAME_OCTETS];
      each(copied(data, start, length), peerOf(copied(names, name, nameLength), zone));
    }
  }

  /** BATCH at most. How many are gone or can never go; for the rest the socket has no room now. */
  send(fd: number, outgoing: readonly Outgoing[]): number {
    const { headers, vectors, names, data } = this.#sent;
    for (const [index, { bytes, peer }] of outgoing.entries()) {
      data.set(bytes, index * SENT_OCTETS_MAX);
      names.set(peer.name, index * NAME_OCTETS);
      // The lower half of a size_t, where that has eight octets; the upper is zero.
      vectors.writeUInt32LE(bytes.length, index * VECTOR_OCTETS + VECTOR_LENGTH_AT);
      headers.writeUInt32LE(peer.name.length, index * HEADER_OCTETS + NAME_LENGTH_AT);
    }
    let done = 0;
    while (done < outgoing.length) {
      const rest = done === 0 ? headers : headers.subarray(done * HEADER_OCTETS);
      const count: number = this.#libc.sendmmsg(fd, rest, outgoing.length - done, MSG_DONTWAIT);
      if (count > 0) done += count;
      else if (FULL.has(koffi.errno())) return done;
      // The first of these has no way; that is nothing to the others.
      else done += 1;
    }
    return done;
  }
}

function copied(buffer: Buffer, start: number, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  buffer.copy(copy, 0, start, start + length);
  return copy;
}

/** Family in host order (little-endian on what Node supports), the rest in network order. */
function peerOf(name: Buffer, zone: string): Peer {
  const port = name.readUInt16BE(2);
  if (name.readUInt16LE(0) !== AF_INET6) return { address: `${name[4]}.${name[5]}.${name[6]}.${name[7]}`, port, name };
  const groups = Array.from({ length: 8 }, (_, group) => name.readUInt16BE(8 + 2 * group));
  const isOfLink = name.readUInt32LE(24) !== 0;
  return { address: formatIpv6(groups) + (isOfLink ? `%${zone}` : ""), port, name };
}
