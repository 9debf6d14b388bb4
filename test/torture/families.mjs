// All faults there are, by what they hit.
import { corruption } from "./corruption.mjs";
import { diskErrors, slowSyncs } from "./disk-errors.mjs";
import { namedSteps } from "./failpoints.mjs";
import { powerLoss } from "./power-loss.mjs";
import { syscallKills } from "./syscall-kills.mjs";

/** Faults of a running program, each point a life and a restart. */
export const allSeries = () => [...syscallKills(), ...namedSteps(), ...diskErrors(), ...slowSyncs()];
/**
 * Faults of a directory that lies still, thousands a minute, judged by the library beside this process.
 * @param {{ seed: number; probes: number }} options
 */
export const bulkFamilies = (options) => [corruption(options), powerLoss()];
