import type { Remedy } from "../events/log-fault.ts";
import { unreachable } from "../lib/assert.ts";

/** What to do about a fault of the log in `dataDir`: a sentence with the command to type. */
export function mendingStep(remedy: Remedy, dataDir: string): string {
  const inDir = `--data-dir ${dataDir}`;
  switch (remedy) {
    case "salvage":
      return `\`portreeve events verify ${inDir}\` says what is damaged; stop the daemon, and \`portreeve events salvage ${inDir}\` makes a whole log of what can be read, in a directory beside it. \`portreeve snapshot restore ${inDir}\` goes back to a saved state instead`;
    case "accept":
      return `put a newer copy of the directory in its place if there is one; if not, stop the daemon, and \`portreeve events accept ${inDir}\` goes on from where the log ends and makes clients ask again`;
    case "upgrade":
      return `run that version again, or a newer one: this one leaves the log in ${dataDir} as it is`;
    case "restore":
      return `run the version that read it before, and report this: it is a fault of Portreeve. Or stop the daemon, and \`portreeve snapshot restore ${inDir}\` goes back to a saved state`;
    default:
      return unreachable(remedy);
  }
}
