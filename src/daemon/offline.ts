import { removeHaproxy } from "../adapters/haproxy/target.ts";
import { removeRoutes } from "../adapters/kernel/route-target.ts";
import { openNftables } from "../adapters/nftables/nftables.ts";
import { removeWireguard } from "../adapters/wireguard/target.ts";
import type { ReplayReport } from "../cli/programs.ts";
import type { Seq } from "../events/envelope.ts";
import { copyForReading } from "../events/leveldb/log-copy.ts";
import { planSalvage as planOf, type Salvage } from "../events/leveldb/salvage.ts";
import { openSnapshots } from "../events/snapshot-store.ts";
import { PortreeveError } from "../lib/errors.ts";
import { refold } from "../controller/history.ts";
import { checkInvariants } from "../reducers/invariants.ts";
import { REDUCER_VERSION } from "../reducers/state.ts";
import { contentHash, stateHash, stateToJson } from "../reducers/state-json.ts";

/** Folds every record there is from the first on, verifying the chain; up to `to` if given. */
export async function replayDataDir(dataDir: string, to: Seq | null): Promise<ReplayReport> {
  const copy = await copyForReading(dataDir);
  try {
    const end = to ?? copy.head.seq;
    if (end > copy.head.seq) {
      throw new PortreeveError("NOT_FOUND", `the log ends at record ${copy.head.seq}, before ${end}`, "refused");
    }
    const state = await refold(copy, openSnapshots(dataDir), end);
    return {
      seq: state.seq,
      at: state.at,
      hash: stateHash(state),
      contentHash: contentHash(state),
      state: stateToJson(state),
      faults: checkInvariants(state),
      witnessAhead: copy.witnessAhead,
    };
  } finally {
    await copy.close();
  }
}

export function planSalvage(dataDir: string, restore: Seq | "newest" | null): Promise<Salvage> {
  return planOf(dataDir, { foldVersion: REDUCER_VERSION, ...(restore !== null && { restore }) });
}

/**
 * Removes every nftables table and WireGuard interface that the instance of this data directory made, ends its HAProxy,
 * and removes the routes and rules with our protocol number, of which there is one instance in a network namespace; and
 * nothing else.
 */
export async function teardown(dataDir: string): Promise<void> {
  const copy = await copyForReading(dataDir);
  const { instanceId } = copy;
  await copy.close();
  const nftables = await openNftables({ instanceId });
  try {
    const foreign = await nftables.findForeignInstance();
    if (foreign?.live === true) {
      const message = "a controller is running in this network namespace and would bring them back; stop it first";
      throw new PortreeveError("FOREIGN_INSTANCE", message, "refused");
    }
    await nftables.removeAllOurs();
    await removeWireguard(instanceId);
    await removeHaproxy(instanceId);
    await removeRoutes();
  } finally {
    await nftables.close();
  }
}
