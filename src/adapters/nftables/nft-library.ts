import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import koffi from "koffi";

export type NftResult = { readonly ok: true; readonly output: string } | { readonly ok: false; readonly error: string };

/** nft, however it is reached. Calls block: for a thread of its own. */
export interface Nft {
  readonly name: "libnftables" | "nft";
  /** One transaction: nft's language, or JSON commands. */
  transact(commands: string): NftResult;
  /** What the kernel says to a transaction it is to check and not to commit. */
  rehearse(commands: string): NftResult;
  /** The same as `transact` by the socket that owns the anchor; a table it owns lives until that closes. */
  transactAsOwner(commands: string): NftResult;
  /**
   * JSON; a command in nft's language, or JSON itself. Not for anything that lists tables: printing one that has flags (an owned one, anybody's), nft 1.0.6 uses
   * memory it has freed.
   */
  listJson(command: string): NftResult;
  /** nft's language, without the elements of sets and without counters. */
  listTerse(command: string): NftResult;
  close(): void;
}

/** include/nftables/libnftables.h */
const NFT_CTX_DEFAULT = 0;
const NFT_CTX_OUTPUT_STATELESS = 1 << 1;
const NFT_CTX_OUTPUT_JSON = 1 << 4;
const NFT_CTX_OUTPUT_TERSE = 1 << 11;

/** After what was large, freed memory of this thread goes back to the system. */
const LARGE_TEXT = 1024 * 1024;

function bindLibrary() {
  const library = koffi.load("libnftables.so.1");
  return {
    create: library.func("void *nft_ctx_new(uint32_t flags)"),
    free: library.func("void nft_ctx_free(void *ctx)"),
    bufferOutput: library.func("int nft_ctx_buffer_output(void *ctx)"),
    bufferError: library.func("int nft_ctx_buffer_error(void *ctx)"),
    output: library.func("const char *nft_ctx_get_output_buffer(void *ctx)"),
    error: library.func("const char *nft_ctx_get_error_buffer(void *ctx)"),
    setDryRun: library.func("void nft_ctx_set_dry_run(void *ctx, bool dry)"),
    setOutput: library.func("void nft_ctx_output_set_flags(void *ctx, uint32_t flags)"),
    run: library.func("int nft_run_cmd_from_buffer(void *ctx, const char *commands)"),
    trim: koffi.load("libc.so.6").func("int malloc_trim(size_t pad)"),
  };
}

/** libnftables in this thread, or the `nft` program where the library cannot be loaded. */
export function openNft(): Nft {
  let library: ReturnType<typeof bindLibrary>;
  try {
    library = bindLibrary();
  } catch {
    return nftProgram();
  }
  const open = (): Context => new Context(library);
  const list = (command: string, flags: number): NftResult => {
    // A context keeps what it has listed.
    const lister = open();
    lister.setOutput(flags);
    try {
      return lister.run(command);
    } finally {
      lister.close();
    }
  };
  const [writer, jsonWriter, owner] = [open(), open(), open()];
  closeOnExec();
  jsonWriter.setOutput(NFT_CTX_OUTPUT_JSON);
  return {
    name: "libnftables",
    transact: (commands) => (commands.startsWith("{") ? jsonWriter : writer).run(commands),
    rehearse: (commands) => {
      // In a context of its own: what was only checked stays in its picture of the ruleset, and the next transaction
      // would be judged by that.
      const rehearsal = open();
      if (commands.startsWith("{")) rehearsal.setOutput(NFT_CTX_OUTPUT_JSON);
      rehearsal.setDryRun();
      try {
        return rehearsal.run(commands);
      } finally {
        rehearsal.close();
      }
    },
    transactAsOwner: (commands) => owner.run(commands),
    listJson: (command) => list(command, NFT_CTX_OUTPUT_JSON),
    listTerse: (command) => list(command, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE),
    close: () => {
      for (const context of [writer, jsonWriter, owner]) context.close();
    },
  };
}

/** include/uapi/asm-generic/fcntl.h */
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/**
 * libnftables opens its sockets without O_CLOEXEC. A program we start would hold them: were we killed, the anchor that
 * belongs to one would live on, and the next start would take it for another controller that runs.
 */
function closeOnExec(): void {
  const fcntl = koffi.load(null).func("int fcntl(int fd, int command, ...)");
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    if (fd > 2) fcntl(fd, F_SETFD, "int", FD_CLOEXEC);
  }
}

class Context {
  readonly #library: ReturnType<typeof bindLibrary>;
  readonly #context: unknown;

  constructor(library: ReturnType<typeof bindLibrary>) {
    this.#library = library;
    this.#context = library.create(NFT_CTX_DEFAULT);
    library.bufferOutput(this.#context);
    library.bufferError(this.#context);
  }

  setOutput(flags: number): void {
    this.#library.setOutput(this.#context, flags);
  }

  /** The batch goes to the kernel without its end, so that it is checked and dropped. */
  setDryRun(): void {
    this.#library.setDryRun(this.#context, true);
  }

  run(commands: string): NftResult {
    const failed = this.#library.run(this.#context, commands) !== 0;
    const [output, error] = [this.#library.output(this.#context), this.#library.error(this.#context)];
    const result: NftResult = failed ? { ok: false, error: String(error) } : { ok: true, output: String(output) };
    if (commands.length > LARGE_TEXT) this.#library.trim(0);
    return result;
  }

  close(): void {
    this.#library.free(this.#context);
  }
}

const PROGRAM_TIMEOUT_MS = 5000;
const PROGRAM_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Slower by a factor of forty, and without an anchor: a table it owned would end with the process. */
export function nftProgram(path = "nft", timeoutMs = PROGRAM_TIMEOUT_MS): Nft {
  const run = (args: readonly string[], input: string): NftResult => {
    // Through a pipe: the stdin that Node makes is a socket, and nft opens "/dev/stdin", which a socket refuses.
    // When time is up only the shell is killed: nft ends with it, or each try would leave one that hangs.
    const pipe = 'cat | setpriv --pdeathsig KILL "$0" "$@"';
    const { status, stdout, stderr, error } = spawnSync("/bin/sh", ["-c", pipe, path, ...args], {
      input,
      encoding: "utf8",
      timeout: timeoutMs,
      maxBuffer: PROGRAM_OUTPUT_BYTES,
      env: { ...process.env, LC_ALL: "C" },
    });
    return status === 0 ? { ok: true, output: stdout } : { ok: false, error: stderr || String(error ?? status) };
  };
  return {
    name: "nft",
    transact: (commands) => run(commands.startsWith("{") ? ["-j", "-f", "-"] : ["-f", "-"], commands),
    rehearse: (commands) => run(commands.startsWith("{") ? ["-c", "-j", "-f", "-"] : ["-c", "-f", "-"], commands),
    transactAsOwner: () => ({ ok: false, error: "Error: Operation not supported: an anchor needs libnftables" }),
    listJson: (command) =>
      command.startsWith("{") ? run(["-j", "-f", "-"], command) : run(["-j", ...command.split(" ")], ""),
    listTerse: (command) => run(["-s", "-t", ...command.split(" ")], ""),
    close: () => {},
  };
}
