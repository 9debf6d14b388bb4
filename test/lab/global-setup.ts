import { missingForLab, sweepNamespaces } from "./topology.mjs";

/** Removes what a killed run left behind, before and after. */
export default async function setup(): Promise<() => Promise<void>> {
  const missing = missingForLab();
  if (missing !== null) {
    process.stderr.write(`Lab tests are skipped: ${missing}.\n`);
    return async () => undefined;
  }
  await sweepNamespaces();
  return async () => void (await sweepNamespaces());
}
