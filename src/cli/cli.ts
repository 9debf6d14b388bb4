import type { Command } from "commander";
import { Client } from "./client.ts";
import { EXIT, Failure } from "./exit.ts";
import type { Programs } from "./programs.ts";
import { type Paint, painter, type Terminal, wantsColor } from "./terminal.ts";

const DEFAULT_SOCKET = "/run/portreeve/portreeve.sock";

/** What the entry point gives: everything outside, so that tests can give something else. */
export interface Outside {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly programs: Programs;
  readonly now: () => number;
}

interface GlobalOptions {
  readonly socket?: string;
  readonly json?: boolean;
  readonly jsonl?: boolean;
  readonly wait?: boolean;
  readonly yes?: boolean;
  readonly color: boolean;
}

/** What every verb shares: the options that all have, the daemon, and how to say things. */
export class Cli {
  readonly outside: Outside;
  readonly #program: Command;
  /** What the command ends with, unless it fails. */
  exitCode: number = EXIT.ok;

  constructor(program: Command, outside: Outside) {
    this.#program = program;
    this.outside = outside;
  }

  get #options(): GlobalOptions {
    return this.#program.opts<GlobalOptions>();
  }

  get client(): Client {
    return new Client(this.#options.socket ?? this.outside.env["PORTREEVE_SOCKET"] ?? DEFAULT_SOCKET);
  }

  get now(): number {
    return this.outside.now();
  }

  get paint(): Paint {
    return painter(wantsColor(this.outside.terminal, this.outside.env, this.#options.color));
  }

  /** For scripts: one document, or a line for each item. */
  get machine(): "json" | "jsonl" | null {
    return this.#options.jsonl === true ? "jsonl" : this.#options.json === true ? "json" : null;
  }

  get waits(): boolean {
    return this.#options.wait !== false;
  }

  /** Prints a document for scripts, or what `human` makes of it. */
  async show(document: unknown, human: () => string): Promise<void> {
    const { machine } = this;
    if (machine === "jsonl" && Array.isArray(document)) {
      for (const item of document) await this.write(`${JSON.stringify(item)}\n`);
    } else if (machine !== null) await this.write(`${JSON.stringify(document, null, machine === "json" ? 2 : 0)}\n`);
    else await this.write(human());
  }

  write(text: string): Promise<void> {
    return this.outside.terminal.out(text);
  }

  /** Talk: not part of the data. */
  say(text: string): void {
    this.outside.terminal.err(`${text}\n`);
  }

  /** Asks before something is destroyed; where nobody can answer, --yes has to have been given. */
  async confirm(what: string): Promise<void> {
    if (this.#options.yes === true) return;
    const { terminal } = this.outside;
    if (!terminal.interactive)
      throw new Failure(EXIT.usage, `this needs a yes: ${what}`, "add --yes to do it without being asked");
    const answer = await terminal.ask(`${what}? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Failure(EXIT.error, "nothing was changed");
  }
}
