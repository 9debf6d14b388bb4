import type { Secret } from "../../src/events/secret.ts";
import type { PeerActivity, PeerHistory } from "../../src/lib/peer-activity.ts";
import type { Change, Desired, Outcome, PassReport, ReconcileError } from "../../src/reconcilers/contract.ts";
import type { WireguardObservation } from "../../src/reconcilers/wireguard.ts";
import type { WireguardRow } from "../../src/reducers/select/rows.ts";
import { Driver } from "./driver.ts";
import type { Host } from "./topology.mjs";

export type WireguardChange = Change<WireguardRow, WireguardObservation>;

/** The WireGuard target in a process of its own. Killed or closed, the interface stays. */
export class WireguardDriver extends Driver {
  constructor(host: Host, instanceId: string) {
    super(host, "wireguard-driver.mjs", [instanceId]);
  }

  seal = (secretId: string, secret: Secret): Promise<void> =>
    this.call("seal", { secretId, key: Buffer.from(secret.expose()).toString() });
  unseal = (secretId: string): Promise<void> => this.call("unseal", { secretId });
  /** What ought to be, from now on; resolves with its number. */
  want = (rows: readonly Desired<WireguardRow>[]): Promise<number> => this.call("want", { rows });
  observe = (): Promise<Record<string, WireguardObservation>> => this.call("observe");
  apply = (plan: readonly WireguardChange[]): Promise<Outcome[]> => this.call("apply", { plan });
  unchanged = (): Promise<boolean> => this.call("unchanged");
  watch = (): Promise<void> => this.call("watch");
  drifts = (): Promise<string[]> => this.call("drifts");
  takeOver = (from: string): Promise<void> => this.call("takeOver", { from });
  teardown = (): Promise<void> => this.call("teardown");
  /** Begins to reconcile, as the daemon does. */
  start = (): Promise<PassReport> => this.call("start");
  /** What failed, when all up to `seq` was tried. */
  settled = (seq: number): Promise<Record<string, ReconcileError>> => this.call("settled", { seq });
  passes = (): Promise<PassReport[]> => this.call("passes");
  activity = (publicKey: string): Promise<PeerActivity | null> => this.call("activity", { publicKey });
  history = (publicKey: string, span: "quarter-hour" | "day"): Promise<PeerHistory | null> =>
    this.call("history", { publicKey, span });
  leak = (): Promise<string> => this.call("leak");
}

export const keyOf = (row: WireguardRow): string => (row.kind === "link" ? "link" : `peer|${row.publicKey}`);
export const desired = (spec: WireguardRow): Desired<WireguardRow> => ({
  key: keyOf(spec),
  spec,
  owners: ["test"],
  revision: 1,
});
