import { createInterface } from "node:readline/promises";
import type { Writable } from "node:stream";
import { SecretLines } from "./secret-line.ts";

/** Where a command reads and writes. Data goes to `out`, talk to `err`. */
export interface Terminal {
  /** Resolves when it may be given more. */
  out(text: string): Promise<void>;
  err(text: string): void;
  /** Somebody can answer a question. */
  readonly interactive: boolean;
  /** Standard output is a person's screen. */
  readonly isScreen: boolean;
  ask(question: string): Promise<string>;
  /** As `ask`, without showing what is typed; where nobody can answer, the next line of standard input. */
  askSecret(question: string): Promise<string>;
}

type Input = ConstructorParameters<typeof SecretLines>[0];
type Stream = Writable & { readonly isTTY?: boolean };

export function processTerminal(stdin: Input, stdout: Stream, stderr: Stream): Terminal {
  const secrets = new SecretLines(stdin, stderr);
  return {
    askSecret: (question) => secrets.read(question),
    out: (text) => new Promise((resolve, reject) => stdout.write(text, (cause) => (cause ? reject(cause) : resolve()))),
    err: (text) => void stderr.write(text),
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    isScreen: stdout.isTTY === true,
    ask: async (question) => {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question);
      } finally {
        lines.close();
      }
    },
  };
}

type Env = Readonly<Record<string, string | undefined>>;

/** https://no-color.org, and terminals that show escapes as text. */
export function wantsColor(terminal: Terminal, env: Env, option: boolean): boolean {
  return option && terminal.isScreen && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow";
export type Paint = (style: Style, text: string) => string;

/** Select Graphic Rendition parameters, ECMA-48 §8.3.117. */
const SGR: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
};

export function painter(color: boolean): Paint {
  if (!color) return (_style, text) => text;
  return (style, text) => `\u001b[${SGR[style][0]}m${text}\u001b[${SGR[style][1]}m`;
}

/** What others chose (labels, error texts) must not move the cursor or change the title of a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, "\u{fffd}");
}
