import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OpenApi, openApi } from "../../../src/api/listener.ts";
import type { Outside } from "../../../src/cli/cli.ts";
import type { Programs } from "../../../src/cli/programs.ts";
import { runCommandLine } from "../../../src/cli/program.ts";
import { T0 } from "../reducers/given.ts";
import { CHEAP, makeRig, type Rig } from "../api/rig.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Options {
  readonly env?: Record<string, string>;
  /** What a person at the terminal answers; without it nobody is there. */
  readonly answer?: string;
  /** What is typed where nothing is shown, or comes by standard input, line by line. */
  readonly secrets?: readonly (string | (() => string))[];
  readonly screen?: boolean;
  readonly programs?: Partial<Programs>;
  /** Called with each piece of output. */
  readonly onOut?: (text: string) => void;
  readonly onErr?: (text: string) => void;
}

const absent = () => Promise.reject(new Error("not started in this test"));
const NO_PROGRAMS: Programs = {
  run: absent,
  replay: absent,
  verifyLog: absent,
  planSalvage: absent,
  acceptLog: absent,
  addException: absent,
  findExceptions: absent,
  readImport: absent,
  backup: absent,
  restore: absent,
  teardown: absent,
};

/** What is outside of a command line, with nothing behind it unless given. */
export function outside(options: Options = {}, out: (text: string) => void = () => {}, err = out): Outside {
  const typed = [...(options.secrets ?? [])];
  return {
    terminal: {
      out: (text) => {
        out(text);
        options.onOut?.(text);
        return Promise.resolve();
      },
      err,
      interactive: options.answer !== undefined,
      isScreen: options.screen ?? false,
      askSecret: (question) => {
        err(question);
        const next = typed.shift() ?? "";
        return Promise.resolve(typeof next === "string" ? next : next());
      },
      ask: (question) => {
        err(question);
        return Promise.resolve(options.answer ?? "");
      },
    },
    env: options.env ?? {},
    version: "1.2.3",
    programs: { ...NO_PROGRAMS, ...options.programs },
    now: () => T0,
  };
}

/** One command line, as `portreeve ARGS` would be, with what it wrote. */
export async function run(args: readonly string[], options: Options = {}): Promise<Ran> {
  const written = { out: "", err: "" };
  const code = await runCommandLine(
    args,
    outside(
      options,
      (text) => {
        written.out += text;
      },
      (text) => {
        written.err += text;
        options.onErr?.(text);
      },
    ),
  );
  return { code, ...written };
}

/** A daemon's API on a socket, and command lines that talk to it. */
export interface Shell {
  readonly rig: Rig;
  readonly socket: string;
  run(line: string, options?: Options): Promise<Ran>;
  json<T>(line: string): Promise<T>;
  close(): Promise<void>;
}

export async function openShell(listen: { host: string; port: number } | null = null): Promise<Shell> {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-cli-"));
  const rig = await makeRig();
  const socket = join(folder, "portreeve.sock");
  const api: OpenApi = await openApi(rig.deps, {
    socketPath: socket,
    listen,
    tokenFile: join(folder, "token"),
    passwordCost: CHEAP,
  });
  const shell: Shell = {
    rig,
    socket,
    run: (line, options = {}) => run(wordsOf(line), { ...options, env: { PORTREEVE_SOCKET: socket, ...options.env } }),
    json: async <T>(line: string) => {
      const ran = await shell.run(`${line} --json`);
      if (ran.code !== 0) throw new Error(`${line} exited ${ran.code}: ${ran.err}`);
      return JSON.parse(ran.out) as T;
    },
    close: async () => {
      await api.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return shell;
}

/** Splits at spaces; '…' keeps words together. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? (match[2] as string));
}
