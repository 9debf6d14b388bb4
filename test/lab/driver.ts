import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Host } from "./topology.mjs";

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Rejected by the driver with our own error code. */
export class DriverError extends Error {
  readonly code: string | null;

  constructor(code: string | null, message: string) {
    super(message);
    this.code = code;
  }
}

/** Part of the built program in a process of its own, inside a host's namespace; the far end is programs/driven.mjs. */
export class Driver {
  readonly #waiting = new Map<number, Waiting>();
  readonly #child;
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  #nextId = 1;

  constructor(host: Host, program: string, args: readonly string[]) {
    const path = fileURLToPath(new URL(`programs/${program}`, import.meta.url));
    this.#child = host.spawn([process.execPath, path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ready = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
    this.#ready.catch(() => undefined);
    this.#exited = new Promise((resolve) => this.#child.on("exit", () => resolve()));
    if (this.#child.stdout === null) throw new Error("the driver has no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { id, value, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value as never);
      else waiting?.reject(new DriverError(error.code, error.message));
    });
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the driver ended"));
    });
  }

  protected async call(operation: string, args: object = {}): Promise<never> {
    await this.#ready;
    const id = this.#nextId;
    this.#nextId += 1;
    return await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, operation, args })}\n`);
    });
  }

  /** A clean end. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#exited;
  }

  kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    return this.#exited;
  }
}
