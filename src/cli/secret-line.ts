import type { Readable, Writable } from "node:stream";
import { EXIT, Failure } from "./exit.ts";

type Input = Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };

const ENTER = new Set(["\r", "\n", "\u0004"]);
const ERASE = new Set(["\u007f", "\b"]);
const INTERRUPT = "\u0003";

/** Reads lines that no screen and no argument list ever shows: typed without echo, or from a pipe. */
export class SecretLines {
  readonly #input: Input;
  readonly #talk: Writable;
  #rest = "";
  #ended = false;

  constructor(input: Input, talk: Writable) {
    this.#input = input;
    this.#talk = talk;
  }

  /** Asks a person; where nobody is there, takes the next line of the input. */
  async read(question: string): Promise<string> {
    return this.#input.isTTY === true ? await this.#typed(question) : await this.#nextLine();
  }

  async #typed(question: string): Promise<string> {
    this.#talk.write(question);
    this.#input.setRawMode?.(true);
    let line = "";
    try {
      for (;;) {
        for (const letter of (await this.#chunk()) ?? "\n") {
          if (letter === INTERRUPT) throw new Failure(EXIT.error, "nothing was changed");
          if (ENTER.has(letter)) return line;
          if (ERASE.has(letter)) line = Array.from(line).slice(0, -1).join("");
          else line += letter;
        }
      }
    } finally {
      this.#input.setRawMode?.(false);
      this.#talk.write("\n");
    }
  }

  async #nextLine(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0 || this.#ended) {
        const line = end >= 0 ? this.#rest.slice(0, end) : this.#rest;
        this.#rest = end >= 0 ? this.#rest.slice(end + 1) : "";
        return line.replace(/\r$/, "");
      }
      const chunk = await this.#chunk();
      if (chunk === null) this.#ended = true;
      else this.#rest += chunk;
    }
  }

  /** Null at the end. Paused in between, so that an open input keeps nobody alive. */
  #chunk(): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        this.#input.off("data", onData).off("end", onEnd).off("error", onError).pause();
        then();
      };
      const onData = (data: Buffer | string) => settle(() => resolve(data.toString()));
      const onEnd = () => settle(() => resolve(null));
      const onError = (cause: Error) => settle(() => reject(cause));
      if (this.#input.readableEnded) return resolve(null);
      this.#input.on("data", onData).on("end", onEnd).on("error", onError).resume();
    });
  }
}
