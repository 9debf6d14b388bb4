import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import { FileTooLong, readBoundedText } from "./bounded-file.ts";
import { ConfigError, type Path } from "./problem.ts";

/** Far more than a declaration of all the objects that it may hold. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

export function readText(file: string): string {
  try {
    return readBoundedText(file, FILE_BYTES_MAX);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const unread = code === "ENOENT" ? "there is no such file" : `cannot be read (${code ?? String(cause)})`;
    const message = cause instanceof FileTooLong ? cause.message : unread;
    throw new ConfigError([{ where: file, line: 0, key: "", message, suggestion: null }], { cause });
  }
}

export interface YamlFile {
  /** Null for a file that holds nothing. */
  readonly content: unknown;
  /** Where in the text a path is; of one that is not there, where the innermost part is that is. */
  readonly lineOf: (path: Path) => number;
}

/** Keys and values, as in `example`; throws a `ConfigError` with every line that is no YAML. */
export function readYaml(text: string, name: string, example: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  // What yaml only warns of, such as a tag it does not know, was not understood either.
  const unread = [...document.errors, ...document.warnings];
  if (unread.length > 0) {
    throw new ConfigError(
      unread.map(({ pos, message }) => {
        const { line } = lines.linePos(pos[0]);
        return { where: `${name}:${line}`, line, key: "", message, suggestion: null };
      }),
    );
  }
  const content = contentOf(document, name);
  if (!isMap(document.contents) && content !== null) {
    const message = `must hold keys and values, as in \`${example}\``;
    throw new ConfigError([{ where: `${name}:1`, line: 1, key: "", message, suggestion: null }]);
  }
  return { content, lineOf: (path) => lines.linePos(offsetOf(document, path)).line };
}

/** Null for a file that holds nothing. Aliases are resolved only here: one that cannot be is a fault of the file. */
function contentOf(document: Document.Parsed, name: string): unknown {
  try {
    return document.toJS() ?? null;
  } catch (cause) {
    const message = `has an alias that cannot be resolved: ${(cause as Error).message}`;
    throw new ConfigError([{ where: name, line: 0, key: "", message, suggestion: null }], { cause });
  }
}

/** Where in the text a path is; of one that is not there, where the innermost part is that is. */
function offsetOf(document: Document.Parsed, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
      if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}
