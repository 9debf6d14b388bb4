import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Change, Outcome } from "../../src/reconcilers/contract.ts";
import type { ForwardRow, GuardRow } from "../../src/reducers/select/rows.ts";
import type { Host } from "./topology.mjs";

const PROGRAM = fileURLToPath(new URL("programs/nftables-driver.mjs", import.meta.url));

type Row = ForwardRow | GuardRow;
export type TargetName = "forwards" | "guard";
interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Rejected by the driver with our own error code. */
export class DriverError extends Error {
  readonly code: string | null;

  constructor(code: string | null, message: string) {
    super(message);
    this.code = code;
  }
}

/** The nftables targets in a process of their own, inside a host's namespace. */
export class NftablesDriver {
  readonly #waiting = new Map<number, Waiting>();
  readonly #child;
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  #nextId = 1;

  /** `by`: as the daemon reaches nftables, or through the nft program only. */
  constructor(host: Host, instanceId: string, by: "library" | "program" = "library") {
    this.#child = host.spawn([process.execPath, PROGRAM, instanceId, by], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ready = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
    this.#ready.catch(() => undefined);
    this.#exited = new Promise((resolve) => this.#child.on("exit", () => resolve()));
    if (this.#child.stdout === null) throw new Error("the driver has no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { id, value, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value as never);
      else waiting?.reject(new DriverError(error.code, error.message));
    });
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the driver ended"));
    });
  }

  async #call(operation: string, args: object = {}): Promise<never> {
    await this.#ready;
    const id = this.#nextId;
    this.#nextId += 1;
    return await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, operation, args })}\n`);
    });
  }

  observe = (target: TargetName): Promise<Record<string, Row>> => this.#call("observe", { target });
  apply = (target: TargetName, plan: readonly Change<Row, Row>[]): Promise<Outcome[]> =>
    this.#call("apply", { target, plan });
  unchanged = (target: TargetName): Promise<boolean> => this.#call("unchanged", { target });
  drifts = (): Promise<{ target: TargetName; by: string }[]> => this.#call("drifts");
  foreign = (): Promise<{ instanceId: string; live: boolean } | null> => this.#call("foreign");
  takeOver = (from: string): Promise<void> => this.#call("takeOver", { from });
  removeAll = (): Promise<void> => this.#call("removeAll");
  /** Ends the thread that talks to the kernel, as a crash in the C library would end only a process. */
  killThread = (): Promise<void> => this.#call("killThread");
  tracksCommits = (): Promise<boolean> => this.#call("tracksCommits");

  /** A clean end: the anchor goes, the tables stay. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#exited;
  }

  kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    return this.#exited;
  }
}

/** The key a row has in its desired table. */
export function keyOf(row: Row): string {
  switch (row.kind) {
    case "range":
      return `range|${row.address}|${row.protocol}|${row.firstPort}-${row.lastPort}`;
    case "ours":
      return `ours|${row.protocol}|${row.port}`;
    case "holder":
      return `holder|${row.address}`;
    case "forward":
    case "outbound":
    case "severed":
      return `${row.kind}|${row.address}|${row.protocol}|${row.port}`;
    default:
      return row.kind;
  }
}

export const create = (row: Row): Change<Row, Row> => {
  const key = keyOf(row);
  return { op: "create", key, desired: { key, spec: row, owners: ["test"], revision: 1 } };
};
export const update = (row: Row, observed: Row): Change<Row, Row> => {
  const key = keyOf(row);
  return { op: "update", key, desired: { key, spec: row, owners: ["test"], revision: 1 }, observed };
};
export const remove = (row: Row): Change<Row, Row> => ({ op: "delete", key: keyOf(row), observed: row });

/** The rows of one mapping, as the selector derives them. */
export function mappingRows(
  protocol: "tcp" | "udp",
  externalPort: number,
  toAddress: string,
  toPort: number,
  address = "11.22.33.1",
): Row[] {
  return [
    { kind: "forward", address, protocol, port: externalPort, toAddress, toPort },
    { kind: "outbound", address: toAddress, protocol, port: toPort, toAddress: address, toPort: externalPort },
    { kind: "ours", protocol, port: externalPort },
  ];
}
