import koffi from "koffi";
import { PortreeveError } from "../../lib/errors.ts";
import {
  eachMessage,
  type MessageView,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  setSequence,
} from "./netlink-message.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
/** Notifications of large transactions must fit, or the author of what came with them is lost. */
const SUBSCRIPTION_BUFFER_BYTES = 8 * 1024 * 1024;
/** The kernel fills a page-aligned buffer of at most this with messages of a dump. */
const RECEIVE_BYTES = 256 * 1024;
const ANSWER_SECONDS = 5;

/** Refused by the kernel; `code` is the errno's name. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function bindLibc() {
  try {
    const libc = koffi.load("libc.so.6");
    return {
      socket: libc.func("int socket(int domain, int type, int protocol)"),
      bind: libc.func("int bind(int fd, const void *address, uint32_t length)"),
      setsockopt: libc.func("int setsockopt(int fd, int level, int option, const void *value, uint32_t length)"),
      send: libc.func("intptr_t send(int fd, const void *bytes, size_t length, int flags)"),
      recv: libc.func("intptr_t recv(int fd, void *bytes, size_t length, int flags)"),
      close: libc.func("int close(int fd)"),
    };
  } catch (cause) {
    throw new PortreeveError("UNAVAILABLE", "the C library could not be loaded for netlink", "fatal", { cause });
  }
}
let libc: ReturnType<typeof bindLibc> | undefined;

const ERRNO_NAMES = new Map(
  Object.entries(koffi.os.errno)
    .filter(([name]) => name !== "EWOULDBLOCK" && name !== "ENOTSUP")
    .map(([name, number]) => [number, name]),
);
const errnoName = (errno: number): string => ERRNO_NAMES.get(errno) ?? `E${errno}`;

/** A netlink socket of this thread's network namespace. Calls block, but for `receive` of a subscribed one. */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #libc: ReturnType<typeof bindLibc>;
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);
  #sequence = 0;

  /** `group`: subscribe to its notifications, without blocking; null: for requests. */
  constructor(group: number | null) {
    libc ??= bindLibc();
    this.#libc = libc;
    const type = SOCK_RAW | SOCK_CLOEXEC | (group === null ? 0 : SOCK_NONBLOCK);
    this.#fd = this.#check(libc.socket(AF_NETLINK, type, NETLINK_NETFILTER) as number, "socket");
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    this.#check(libc.bind(this.#fd, address, address.length) as number, "bind");
    if (group === null) {
      const timeout = Buffer.alloc(16);
      timeout.writeBigInt64LE(BigInt(ANSWER_SECONDS), 0);
      this.#option(SOL_SOCKET, SO_RCVTIMEO, timeout);
    } else {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(SUBSCRIPTION_BUFFER_BYTES);
      this.#option(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
      bytes.writeInt32LE(group);
      this.#option(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, bytes);
    }
  }

  /** Sends a request and visits what answers it, to its end. Returns whether a dump was interrupted by a change. */
  request(bytes: Buffer, visit: (buffer: Buffer, view: MessageView) => void): { interrupted: boolean } {
    this.#sequence = (this.#sequence + 1) >>> 0;
    setSequence(bytes, this.#sequence);
    this.#check(Number(this.#libc.send(this.#fd, bytes, bytes.length, 0)), "send");
    let [ended, interrupted, errno] = [false, false, 0];
    while (!ended) {
      const length = this.#check(Number(this.#libc.recv(this.#fd, this.#buffer, RECEIVE_BYTES, 0)), "receive");
      eachMessage(this.#buffer, length, (view) => {
        // The rest of an answer that came too late belongs to an earlier request.
        if (view.sequence !== this.#sequence) return;
        if ((view.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (view.type === NLMSG_ERROR || view.type === NLMSG_DONE) [ended, errno] = [true, view.errno];
        else visit(this.#buffer, view);
      });
    }
    if (errno > 0) throw new NetlinkError(errnoName(errno), `the kernel refused: ${errnoName(errno)}`);
    return { interrupted };
  }

  /** The next notification, if there is one; "overflow" when the kernel had to drop some. */
  receive(visit: (buffer: Buffer, view: MessageView) => void): "message" | "nothing" | "overflow" {
    const length = Number(this.#libc.recv(this.#fd, this.#buffer, RECEIVE_BYTES, 0));
    if (length < 0) {
      const code = errnoName(koffi.errno());
      if (code === "EAGAIN" || code === "EINTR") return "nothing";
      if (code === "ENOBUFS") return "overflow";
      throw new NetlinkError(code, `netlink notifications ended: ${code}`);
    }
    eachMessage(this.#buffer, length, (view) => visit(this.#buffer, view));
    return "message";
  }

  close(): void {
    this.#libc.close(this.#fd);
  }

  #option(level: number, option: number, value: Buffer): void {
    this.#check(this.#libc.setsockopt(this.#fd, level, option, value, value.length) as number, "setsockopt");
  }

  #check(result: number, call: string): number {
    if (result >= 0) return result;
    const code = errnoName(koffi.errno());
    throw new NetlinkError(code, `netlink ${call}: ${code}`);
  }
}
