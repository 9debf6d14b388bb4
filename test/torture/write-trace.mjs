// What a program does to files, read from strace's output: writes with their bytes, fsyncs, and names that come and go.
import { readFileSync } from "node:fs";

/**
 * @typedef {{ kind: "create"; file: string }
 *   | { kind: "write"; file: string; at: number | null; bytes: Buffer }
 *   | { kind: "sync"; file: string }
 *   | { kind: "rename"; file: string; to: string }
 *   | { kind: "unlink"; file: string }} Op
 */

const CALLS =
  "openat,write,pwrite64,pwritev,writev,ftruncate,fdatasync,fsync,rename,unlink,rmdir,copy_file_range,sendfile";
/** More than any write of the load. */
const STRING_MAX = 1 << 20;

/** @param {string} output */
export const underTrace = (output) => [
  "strace",
  "-D",
  "-f",
  "--seccomp-bpf",
  "-y",
  "-xx",
  "-qq",
  "-s",
  String(STRING_MAX),
  "-o",
  output,
  "-e",
  `trace=${CALLS}`,
];

/** Copies of the log that nothing reads back, and LevelDB's text for people. */
const IGNORED = /^evidence(\/|$)|^log(\.new)?\/(LOG|LOG\.old|LOCK)$/;

/**
 * In the order in which the calls ended. Throws at a call it cannot account for.
 * @param {string} file @param {string} dataDir @returns {Op[]}
 */
export function readTrace(file, dataDir) {
  /** @type {Map<string, string>} thread → what it had begun */
  const begun = new Map();
  const prefix = `${dataDir}/`;
  return readFileSync(file, "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
      const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest);
      if (unfinished !== null) {
        begun.set(thread, unfinished[1] ?? "");
        return [];
      }
      const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
      const whole = resumed === null ? rest : `${begun.get(thread) ?? ""}${resumed[1]}`;
      const op = parse(whole, prefix);
      return op === null || IGNORED.test(op.file) ? [] : [op];
    });
}

/** @param {string} line @param {string} prefix @returns {Op | null} */
function parse(line, prefix) {
  const [, call = "", text = "", result = ""] = /^(\w+)\((.*)\) += (-?\d+)/.exec(line) ?? [];
  if (call === "" || Number(result) < 0) return null;
  const within = (/** @type {string} */ path) => (path.startsWith(prefix) ? path.slice(prefix.length) : null);
  const strings = [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex]) => bytesOf(hex ?? ""));
  const opened = /^\d+<((?:\\x[0-9a-f]{2})+)>/.exec(text);
  const file = opened === null ? null : within(bytesOf(opened[1] ?? "").toString());
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = strings;
  switch (call) {
    case "openat": {
      const name = within(first.toString());
      return name !== null && text.includes("O_TRUNC") ? { kind: "create", file: name } : null;
    }
    case "write":
      return file === null ? null : { kind: "write", file, at: null, bytes: first.subarray(0, Number(result)) };
    case "pwrite64":
      return file === null
        ? null
        : { kind: "write", file, at: Number(/, (\d+)$/.exec(text)?.[1]), bytes: first.subarray(0, Number(result)) };
    case "fdatasync":
    case "fsync":
      // Of the directory itself too: it commits the journal.
      return opened === null || !`${bytesOf(opened[1] ?? "").toString()}/`.startsWith(prefix)
        ? null
        : { kind: "sync", file: file ?? "" };
    case "rename": {
      const [from, to] = [within(first.toString()), within(second.toString())];
      return from === null || to === null ? null : { kind: "rename", file: from, to };
    }
    case "unlink": {
      const name = within(first.toString());
      return name === null ? null : { kind: "unlink", file: name };
    }
    case "copy_file_range":
    case "sendfile": {
      const into = [...text.matchAll(/\d+<((?:\\x[0-9a-f]{2})+)>/g)].map(([, hex]) =>
        within(bytesOf(hex ?? "").toString()),
      );
      const target = call === "sendfile" ? into[0] : into[1];
      if (typeof target === "string" && !IGNORED.test(target))
        throw new Error(`a copy that is not understood, to ${target}`);
      return null;
    }
    default:
      if (file !== null && !IGNORED.test(file)) throw new Error(`a call that is not understood: ${call} on ${file}`);
      return null;
  }
}

/** @param {string} escaped `\x41\x42` */
const bytesOf = (escaped) => Buffer.from(escaped.replaceAll("\\x", ""), "hex");
