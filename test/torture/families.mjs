// All faults there are, by what they hit.
import { careFaults } from "./care-faults.mjs";
import { corruption } from "./corruption.mjs";
import { diskErrors, slowSyncs } from "./disk-errors.mjs";
import { namedSteps } from "./failpoints.mjs";
import { fullDisks } from "./full-disk.mjs";
import { nameUpdates } from "./name-updates.mjs";
import { powerLoss } from "./power-loss.mjs";
import { removals } from "./removals.mjs";
import { sharedPorts } from "./shared-port.mjs";
import { syscallKills } from "./syscall-kills.mjs";

/** Faults of a running program, each point a life and a restart. */
export const allSeries = () => [
  ...syscallKills(),
  ...namedSteps(),
  ...careFaults(),
  ...diskErrors(),
  ...slowSyncs(),
  ...fullDisks(),
  ...removals(),
  ...nameUpdates(),
  ...sharedPorts(),
];
/**
 * Faults of a directory that lies still, thousands a minute, judged by the library beside this process.
 * @param {import("./corruption.mjs").Extent} extent
 */
export const bulkFamilies = (extent) => [corruption(extent), powerLoss(extent)];
