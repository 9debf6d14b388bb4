import type { Change, Outcome } from "../../src/reconcilers/contract.ts";
import type { ForwardRow, GuardRow } from "../../src/reducers/select/rows.ts";
import { Driver } from "./driver.ts";
import type { Host } from "./topology.mjs";

type Row = ForwardRow | GuardRow;
export type TargetName = "forwards" | "guard";
/** The nftables targets in a process of their own. Closed, the anchor goes and the tables stay. */
export class NftablesDriver extends Driver {
  /** `by`: as the daemon reaches nftables, or through the nft program only. */
  constructor(host: Host, instanceId: string, by: "library" | "program" = "library") {
    super(host, "nftables-driver.mjs", [instanceId, by]);
  }

  observe = (target: TargetName): Promise<Record<string, Row>> => this.call("observe", { target });
  apply = (target: TargetName, plan: readonly Change<Row, Row>[]): Promise<Outcome[]> =>
    this.call("apply", { target, plan });
  unchanged = (target: TargetName): Promise<boolean> => this.call("unchanged", { target });
  drifts = (): Promise<{ target: TargetName; by: string }[]> => this.call("drifts");
  foreign = (): Promise<{ instanceId: string; live: boolean } | null> => this.call("foreign");
  takeOver = (from: string): Promise<void> => this.call("takeOver", { from });
  removeAll = (): Promise<void> => this.call("removeAll");
  /** Ends the thread that talks to the kernel, as a crash in the C library would end only a process. */
  killThread = (): Promise<void> => this.call("killThread");
  tracksCommits = (): Promise<boolean> => this.call("tracksCommits");
}

/** The key a row has in its desired table. */
export function keyOf(row: Row): string {
  switch (row.kind) {
    case "range":
      return `range|${row.address}|${row.protocol}|${row.firstPort}-${row.lastPort}`;
    case "ours":
      return `ours|${row.protocol}|${row.port}`;
    case "holder":
    case "egress":
      return `${row.kind}|${row.address}`;
    case "restricted":
      return `restricted|${row.address}|${row.protocol}|${row.firstPort}-${row.lastPort}`;
    case "allowed":
      return `allowed|${row.address}|${row.protocol}|${row.firstPort}-${row.lastPort}|${row.from}`;
    case "allowedPort":
      return `allowedPort|${row.address}|${row.protocol}|${row.firstPort}-${row.lastPort}|${row.from}|${row.fromPort}`;
    case "forward":
    case "outbound":
    case "visited":
    case "severed":
    case "pinhole":
      return `${row.kind}|${row.address}|${row.protocol}|${row.port}`;
    case "pinholeFrom":
      return `pinholeFrom|${row.address}|${row.protocol}|${row.port}|${row.from}`;
    case "pinholeFromPort":
      return `pinholeFromPort|${row.address}|${row.protocol}|${row.port}|${row.from}|${row.fromPort}`;
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
