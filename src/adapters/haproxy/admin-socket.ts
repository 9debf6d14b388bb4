import { connect, type Socket } from "node:net";

/** In interactive mode it ends each answer with an empty line and this. */
const PROMPT = "\n> ";
/** Of commands under way: its input buffer is small, and what we send shall never wait for what we do not read. */
const AT_ONCE_MAX = 8192;

/** The conversation with a running HAProxy, one connection for as long as both live. */
export class AdminSocket {
  readonly #socket: Socket;
  readonly #answerWithinMs: number;
  #received = "";
  /** Where the next prompt is looked for. */
  #scanned = 0;
  #waiting: { readonly resolve: (answer: string) => void; readonly reject: (error: Error) => void }[] = [];
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(socket: Socket, answerWithinMs: number, onEnd: () => void) {
    this.#socket = socket;
    this.#answerWithinMs = answerWithinMs;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#read(text));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#closed = true;
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("HAProxy closed its admin socket"));
      onEnd();
    });
  }

  /** Rejects if nobody answers there. */
  static async open(path: string, answerWithinMs: number, onEnd: () => void): Promise<AdminSocket> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    // What we have to say is no reason for our process to live.
    socket.unref();
    const admin = new AdminSocket(socket, answerWithinMs, onEnd);
    await admin.ask(["prompt"]);
    return admin;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The answer to each command, in their order. Rejects if HAProxy ends or is silent; then the connection is closed. */
  async ask(commands: readonly string[]): Promise<string[]> {
    const mine = this.#turn.then(() => this.#ask(commands));
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ask(commands: readonly string[]): Promise<string[]> {
    const answers: string[] = [];
    for (let start = 0; start < commands.length; ) {
      let [end, size] = [start, 0];
      while (end < commands.length && (end === start || size + (commands[end] as string).length < AT_ONCE_MAX)) {
        size += (commands[end] as string).length + 1;
        end += 1;
      }
      answers.push(...(await this.#exchange(commands.slice(start, end))));
      start = end;
    }
    return answers;
  }

  async #exchange(commands: readonly string[]): Promise<string[]> {
    if (this.#closed) throw new Error("HAProxy closed its admin socket");
    const timer = setTimeout(() => this.#socket.destroy(), this.#answerWithinMs);
    const answers = commands.map(
      () => new Promise<string>((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    this.#socket.write(commands.map((command) => `${command}\n`).join(""));
    try {
      return await Promise.all(answers);
    } finally {
      clearTimeout(timer);
    }
  }

  #read(text: string): void {
    this.#received += text;
    for (;;) {
      const end = this.#received.indexOf(PROMPT, this.#scanned);
      if (end < 0) break;
      this.#waiting.shift()?.resolve(this.#received.slice(0, end).trim());
      this.#received = this.#received.slice(end + PROMPT.length);
      this.#scanned = 0;
    }
    this.#scanned = Math.max(0, this.#received.length - PROMPT.length);
  }
}
