// A coverage-guided fuzzer: what reaches code that nothing reached before is kept and mutated on.
import { Script } from "node:vm";
import { mutate } from "./mutation.mjs";
import { random } from "../random.mjs";

/**
 * @typedef {object} Target
 * @property {string} name
 * @property {readonly Uint8Array[]} dictionary words of the format
 * @property {number} bytesMax of an input
 * @property {(bytes: Buffer) => boolean} check Whether it was understood; throws if anything is wrong with what came of it.
 *
 * @typedef {object} Finding
 * @property {Buffer} input the smallest we could make of it
 * @property {string} what stands for all inputs that fail in the same way
 * @property {unknown} cause
 * @property {number} executions before it was found
 *
 * @typedef {object} Progress
 * @property {number} executions
 * @property {number} blocks
 * @property {Buffer[]} pool
 * @property {Finding[]} findings
 * @property {number} slowestMs what one input took at most, in time of the processor
 *
 * @typedef {import("./coverage.mjs").Coverage} Coverage
 */

const BATCH = 64;
/** Blocks that one input may run: nothing we fuzz may do more than a fixed amount for each octet. */
const WORK = { base: 20_000, perOctet: 500 };
/** What one input may have allocated at once. */
const ALLOCATION = { base: 1 << 20, perOctet: 64 };
/** Not a limit of time but the end of waiting: what loops for ever stops only so. */
const HUNG_MS = 5000;
const SHRINK_TRIES_MAX = 2000;

/** An input made its target do or allocate more than it may. */
class BoundError extends Error {
  /** @override */
  name = "BoundError";
}

/** An input from which its target did not come back. */
class HungError extends Error {
  /** @override */
  name = "HungError";
}

export class Fuzzer {
  #target;
  #coverage;
  #pick;
  #known;
  #hungMs;
  /** @type {Set<string>} */
  #seen = new Set();
  /** @type {Progress} */
  progress = { executions: 0, blocks: 0, pool: [], findings: [], slowestMs: 0 };

  /**
   * @param {{ target: Target; coverage: Coverage; seed: number; corpus: readonly Buffer[];
   *   known?: import("./coverage.mjs").Blocks; hungMs?: number }} options
   */
  constructor({ target, coverage, seed, corpus, known = new Map(), hungMs = HUNG_MS }) {
    this.#target = target;
    this.#coverage = coverage;
    this.#pick = random(seed);
    this.#known = known;
    this.#hungMs = hungMs;
    coverage.take(new Map());
    this.#adopt([Buffer.alloc(0), ...corpus]);
  }

  /** A corpus is taken as it is, all at once; what is wrong with one of it is looked at. @param {readonly Buffer[]} corpus */
  #adopt(corpus) {
    const failures = this.#run(corpus);
    const { ran, work } = this.#coverage.take(this.#known);
    const tooMuch = work > corpus.reduce((sum, input) => sum + workAllowed(input), 0);
    for (const block of ran) this.#seen.add(block);
    this.progress.blocks = this.#seen.size;
    for (const [index, input] of corpus.entries()) {
      if (tooMuch || failures[index] !== null) this.offer(input);
      else this.progress.pool.push(input);
    }
    // Whatever it does, there must be one to begin with.
    if (this.progress.pool.length === 0) this.progress.pool.push(Buffer.alloc(0));
  }

  /** One batch of new inputs. */
  step() {
    const { pool } = this.progress;
    const { dictionary, bytesMax } = this.#target;
    const inputs = Array.from({ length: BATCH }, () =>
      mutate(this.#choose(), this.#pick, { dictionary, pool, bytesMax }),
    );
    this.#explore(inputs);
    // One at any rate alone: how much work a single input is, drowns in what a batch may do.
    this.offer(/** @type {Buffer} */ (inputs[0]));
  }

  /**
   * Looking at the counters costs more than running: once for all, and closer by halves where there is something.
   * @param {readonly Buffer[]} inputs
   */
  #explore(inputs) {
    const [first] = inputs;
    if (first === undefined) return;
    if (inputs.length === 1) return this.offer(first);
    const failures = this.#run(inputs);
    const { ran, work } = this.#coverage.take(this.#known);
    const allowed = inputs.reduce((sum, input) => sum + workAllowed(input), 0);
    const failed = failures.some((failure) => failure !== null);
    if (!failed && work <= allowed && ![...ran].some((block) => !this.#seen.has(block))) return;
    this.#explore(inputs.slice(0, inputs.length >> 1));
    this.#explore(inputs.slice(inputs.length >> 1));
  }

  /** The newest inputs are mutated most: they lead to where nobody has been. */
  #choose() {
    const { pool } = this.progress;
    const recent = Math.min(pool.length, 16);
    const index = this.#pick(2) === 0 ? pool.length - 1 - this.#pick(recent) : this.#pick(pool.length);
    return /** @type {Buffer} */ (pool[index]);
  }

  /** Keeps it if it reaches what nothing reached, reports it if it fails. @param {Buffer} input */
  offer(input) {
    const { error, ran } = this.#tryAlone(input);
    if (error !== null) return this.#report(input, error);
    const fresh = ran.filter((block) => !this.#seen.has(block));
    if (fresh.length === 0) return;
    for (const block of fresh) this.#seen.add(block);
    this.progress.pool.push(input);
    this.progress.blocks = this.#seen.size;
  }

  /** What is wrong with this input and which blocks it reaches. @param {Buffer} input */
  #tryAlone(input) {
    const [thrown] = this.#run([input]);
    const { ran, work } = this.#coverage.take(this.#known);
    const tooMuch = work > workAllowed(input) ? new BoundError(`${input.length} octets cost too much work`) : null;
    return { error: thrown ?? tooMuch, ran: [...ran] };
  }

  /** @param {readonly Buffer[]} inputs */
  #run(inputs) {
    this.progress.executions += inputs.length;
    return runBounded(inputs, (input) => this.#timed(input), this.#hungMs);
  }

  /** While others have the processor, time passes, and no processor's time; while others of us collect garbage, the reverse. */
  #timed(/** @type {Buffer} */ input) {
    const [before, used] = [performance.now(), process.cpuUsage()];
    try {
      return this.#target.check(input);
    } finally {
      const passed = performance.now() - before;
      const { user, system } = process.cpuUsage(used);
      this.progress.slowestMs = Math.max(this.progress.slowestMs, Math.min(passed, (user + system) / 1000));
    }
  }

  /** @param {Buffer} input @param {Error} cause */
  #report(input, cause) {
    const what = signature(cause);
    const { findings, executions } = this.progress;
    if (findings.some((finding) => finding.what === what)) return;
    const shrinkable = !(cause instanceof HungError);
    const shrunk = !shrinkable
      ? input
      : shrink(input, (smaller) => {
          const { error } = this.#tryAlone(smaller);
          return error !== null && signature(error) === what;
        });
    findings.push({ input: shrunk, what, cause, executions });
  }
}

/** @param {Buffer} input */
const workAllowed = (input) => WORK.base + WORK.perOctet * input.length;

/**
 * Checks each input in turn; what it threw, or null. Allocations are bounded by the input's size, and a loop that does
 * not end is ended: the inputs behind it are not checked then.
 * @param {readonly Buffer[]} inputs
 * @param {(input: Buffer) => unknown} check
 * @param {number} hungMs
 * @returns {(Error | null)[]}
 */
function runBounded(inputs, check, hungMs) {
  /** @type {(Error | null)[]} */
  const failures = [];
  const all = () => {
    for (const input of inputs) {
      allocation.bytesMax = ALLOCATION.base + ALLOCATION.perOctet * input.length;
      failures.push(thrownBy(() => check(Buffer.from(input))));
    }
  };
  try {
    const stopped = thrownBy(() => watched(all, hungMs));
    if (stopped !== null) failures.push(new HungError(stopped.message));
    return failures;
  } finally {
    allocation.bytesMax = Infinity;
  }
}

/** What may be allocated at once; bounded only while a target runs. */
const allocation = { bytesMax: Infinity };
const [alloc, allocUnsafe] = [Buffer.alloc.bind(Buffer), Buffer.allocUnsafe.bind(Buffer)];
Buffer.alloc = (size, ...rest) => alloc(granted(size), ...rest);
Buffer.allocUnsafe = (size) => allocUnsafe(granted(size));

/** @param {number} size */
function granted(size) {
  if (size > allocation.bytesMax) throw new BoundError(`it allocates ${size} octets`);
  return size;
}

/** @param {() => unknown} body @returns {Error | null} */
function thrownBy(body) {
  try {
    body();
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(`threw ${String(cause)}`);
  }
}

/** @type {{ body: () => unknown }} */
const slot = { body: () => undefined };
const ENTRANCE = "portreeve.fuzz";
Object.assign(globalThis, { [Symbol.for(ENTRANCE)]: () => slot.body() });
/** Only a script can be stopped from outside while it runs. */
const entrance = new Script(`globalThis[Symbol.for("${ENTRANCE}")]()`);

/** @param {() => unknown} body @param {number} hungMs */
function watched(body, hungMs) {
  slot.body = body;
  entrance.runInThisContext({ timeout: hungMs });
}

/**
 * The kind of error and where in our code it came from.
 * @param {Error} error
 */
function signature(error) {
  const lines = String(error.stack).split("\n");
  const ours = lines.find((line) => /\/(src|dist)\//.test(line)) ?? lines.find((line) => line.includes("/targets/"));
  const place = /([\w-]+\.[a-z]+:\d+):\d+\)?$/.exec(ours ?? "")?.[1] ?? "";
  return /^(Bound|Hung)Error$/.test(error.name) ? error.name : `${error.name} ${place}`;
}

/**
 * The smallest input that still fails, by leaving out ever smaller pieces.
 * @param {Buffer} input
 * @param {(smaller: Buffer) => boolean} fails
 */
function shrink(input, fails) {
  let least = input;
  let tries = 0;
  for (let piece = least.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = 0; at < least.length && tries < SHRINK_TRIES_MAX; tries += 1) {
      const smaller = Buffer.concat([least.subarray(0, at), least.subarray(at + piece)]);
      if (fails(smaller)) least = smaller;
      else at += piece;
    }
  }
  return least;
}

/**
 * As few of the inputs as reach all that the inputs reach, the small ones first.
 * @param {{ target: Target; coverage: Coverage; inputs: readonly Buffer[] }} options
 */
export function minimise({ target, coverage, inputs }) {
  const sorted = [...inputs].sort((a, b) => a.length - b.length || a.compare(b));
  /** @type {import("./coverage.mjs").Blocks} */
  const known = new Map();
  const reaching = () => {
    const fuzzer = new Fuzzer({ target, coverage, seed: 0, corpus: [], known });
    for (const input of sorted) fuzzer.offer(input);
    return fuzzer.progress.pool;
  };
  // Twice: V8 names some blocks only once an input has gone around them.
  reaching();
  return reaching();
}
