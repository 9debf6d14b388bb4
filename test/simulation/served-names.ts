import type { Clock } from "../../src/lib/clock.ts";
import type { DnsRow } from "../../src/lib/dns-row.ts";
import { PortreeveError } from "../../src/lib/errors.ts";
import type { Outcome, Plan, Target } from "../../src/reconcilers/contract.ts";
import type { Life } from "./life.ts";
import { rowText } from "./names.ts";

/** The serial that was served last, by whichever process, and the names that went with it. */
export interface LastServed {
  serial: number;
  names: string;
}

/** The thread that answers DNS as one process has it: it may be slow, and it may end and forget everything. */
export class ServedNames implements Target<DnsRow, DnsRow> {
  readonly name = "dns";
  readonly #life: Life;
  readonly #clock: Clock;
  readonly #last: LastServed;
  readonly #fail: (message: string) => void;
  #rows = new Map<string, DnsRow>();
  #generation = 0;
  #isLost = false;
  #slowMs = 0;
  #onDrift: (by: string) => void = () => undefined;
  /** Calls that are not answered yet. */
  underWay = 0;

  constructor(life: Life, clock: Clock, last: LastServed, fail: (message: string) => void) {
    [this.#life, this.#clock, this.#last, this.#fail] = [life, clock, last, fail];
  }

  end(): void {
    this.#generation += 1;
    this.#rows = new Map();
    this.#isLost = true;
    this.#onDrift("the DNS thread");
  }

  /** The next change takes so long. */
  slowDown(ms: number): void {
    this.#slowMs = ms;
  }

  /** Rows by their keys, as `expectedRows` has them. */
  texts(): Map<string, string> {
    const texts = new Map<string, string>();
    for (const [key, row] of this.#rows) if (row.kind !== "serial") texts.set(key, textOf(row));
    return texts;
  }

  async observe(): Promise<ReadonlyMap<string, DnsRow>> {
    await this.#life.point();
    this.#isLost = false;
    return new Map(this.#rows);
  }

  expected(spec: DnsRow): DnsRow {
    return spec;
  }

  unchanged(): boolean {
    return !this.#isLost;
  }

  watch(onDrift: (by: string) => void): { close(): void } {
    this.#onDrift = onDrift;
    return { close: () => void (this.#onDrift = () => undefined) };
  }

  async apply(plan: Plan<DnsRow, DnsRow>): Promise<readonly Outcome[]> {
    const generation = this.#generation;
    const slowMs = this.#slowMs;
    this.#slowMs = 0;
    this.underWay += 1;
    await this.#life.point();
    await this.#life.wait(slowMs, this.#clock);
    this.underWay -= 1;
    if (generation !== this.#generation) throw new PortreeveError("UNAVAILABLE", "the thread ended", "transient");
    for (const change of plan) {
      if (change.op === "delete") this.#rows.delete(change.key);
      else this.#rows.set(change.key, structuredClone(change.desired.spec));
    }
    this.#checkSerial();
    return plan.map(({ key }): Outcome => ({ key, ok: true }));
  }

  /** RFC 1982: whoever keeps a copy looks at the serial alone. */
  #checkSerial(): void {
    const row = this.#rows.get("serial");
    const serial = row?.kind === "serial" ? row.serial : 0;
    const texts = [...this.texts()].filter(([key]) => key.startsWith("name|"));
    const names = texts
      .map((each) => each.join(" "))
      .sort()
      .join("\n");
    if (serial < this.#last.serial) this.#fail(`the serial went back from ${this.#last.serial} to ${serial}`);
    if (serial === this.#last.serial && names !== this.#last.names)
      this.#fail(`other names are served under the same serial ${serial}`);
    Object.assign(this.#last, { serial, names });
  }
}

function textOf(row: Exclude<DnsRow, { readonly kind: "serial" }>): string {
  switch (row.kind) {
    case "name":
      return rowText(
        row.records.map(({ type, ttl, value }) => `${type} ${ttl} ${value}`),
        row.views?.join() ?? "all",
      );
    case "zone":
      return row.views?.join() ?? "all";
    case "view":
      return JSON.stringify({ interface: row.interface, prefixes: row.prefixes, zone: row.zone });
    case "key":
      return JSON.stringify([row.view, row.sources.join(), row.keyName, row.secretId]);
  }
}
