import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Traces } from "./traces.mjs";

/** Secrets that are known to a test, as they are and in the forms that programs write bytes in. */
export class Canaries extends Traces {
  readonly #names = new Set<string>();

  /** `bytes`: what a key's text stands for. */
  say(what: string, text: string, bytes: Buffer = Buffer.from(text)): void {
    const forms = [text, bytes.toString("latin1"), bytes.toString("hex"), bytes.toString("base64")];
    this.add(what, [
      ...forms,
      bytes.toString("base64url"),
      JSON.stringify(text).slice(1, -1),
      encodeURIComponent(text),
    ]);
    this.#names.add(what);
  }

  key(what: string, base64: string): void {
    this.say(what, base64, Buffer.from(base64, "base64"));
  }

  get names(): string[] {
    return [...this.#names];
  }
}

/** What is in a backup: its own lines, and each file that lies in them. */
export function backupText(path: string): string {
  const text = gunzipSync(readFileSync(path)).toString("latin1");
  const files = text
    .split("\n")
    .filter((line) => line.startsWith('{"file"'))
    .map((line) => Buffer.from((JSON.parse(line) as { data: string }).data, "base64").toString("latin1"));
  return [text, ...files].join("\n");
}
