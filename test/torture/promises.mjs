// The witness: what clients and operators were told, in a file of its own, each line there before the next request
// leaves. What was asked and never answered is in it too, for that may have happened or not.
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";

/**
 * @typedef {object} Mapped
 * @property {"pcp" | "natpmp" | "operator"} by
 * @property {string} address internal
 * @property {"tcp" | "udp"} protocol
 * @property {number} internalPort
 * @property {number} externalPort
 * @property {number | null} endsAt wall clock in ms, counted from when it was asked; null: never
 */
/** @typedef {{ epoch: number; at: number }} Epoch as a client notes it; `at` in seconds of its own clock */
/** @typedef {{ key: string; body: object; seq: number }} Answered a request with an Idempotency-Key, and its answer */

/** @param {Pick<Mapped, "address" | "protocol" | "internalPort">} mapped */
export const keyOf = ({ address, protocol, internalPort }) => `${address} ${protocol} ${internalPort}`;

export class Promises {
  #fd;

  /** @param {string} file */
  constructor(file) {
    rmSync(file, { force: true });
    this.file = file;
    this.#fd = openSync(file, "a");
  }

  /** Another file has been put in its place. */
  reopen() {
    closeSync(this.#fd);
    this.#fd = openSync(this.file, "a");
  }

  /** About to ask for something that ends or moves a mapping: until it is answered nobody knows. @param {string} key */
  doubt(key) {
    this.#write({ doubt: key });
  }

  /** @param {Mapped} mapped */
  granted(mapped) {
    this.#write({ granted: mapped });
  }

  /** @param {string} key */
  ended(key) {
    this.#write({ ended: key });
  }

  /** @param {Epoch} epoch */
  epoch(epoch) {
    this.#write({ epoch });
  }

  /** @param {Answered} answered */
  answered(answered) {
    this.#write({ answered });
  }

  /** Everything that must hold now. */
  read() {
    /** @type {Map<string, Mapped>} */
    const mapped = new Map();
    /** @type {Set<string>} */
    const ended = new Set();
    /** @type {Epoch | null} */
    let epoch = null;
    /** @type {Answered | null} */
    let answered = null;
    let acknowledged = 0;
    for (const text of readFileSync(this.file, "utf8").split("\n")) {
      if (text === "") continue;
      const line = JSON.parse(text);
      if (line.doubt === undefined) acknowledged += 1;
      if (line.doubt !== undefined) for (const each of [mapped, ended]) each.delete(line.doubt);
      if (line.granted !== undefined) {
        mapped.set(keyOf(line.granted), line.granted);
        ended.delete(keyOf(line.granted));
      }
      if (line.ended !== undefined) {
        mapped.delete(line.ended);
        ended.add(line.ended);
      }
      epoch = line.epoch ?? epoch;
      answered = line.answered ?? answered;
    }
    return { mapped: [...mapped.values()], ended, epoch, answered, acknowledged };
  }

  close() {
    closeSync(this.#fd);
  }

  /** @param {object} line */
  #write(line) {
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
  }
}
