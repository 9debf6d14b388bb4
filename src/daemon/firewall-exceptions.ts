import { addException as carryOut, findExceptions as find, removeException } from "../adapters/firewall/exceptions.ts";
import { withIptables } from "../adapters/firewall/iptables-rules.ts";
import { openNftables } from "../adapters/nftables/nftables.ts";
import { exceptionSchema, type ExceptionDocument } from "../api/schemas/doctor.ts";
import type { FilterChain } from "../lib/packet-filter.ts";
import { EXCEPTION_COMMENT, stepsFor } from "../reducers/doctor/exception.ts";
import { FIREWALLD_POLICIES } from "../reducers/doctor/firewalld.ts";

/** By whoever runs the command line: other firewalls' files are not the daemon's to write. */
export async function addException(exception: ExceptionDocument): Promise<void> {
  // It came over a socket, and its words become words of commands.
  await carryOut(stepsFor(exceptionSchema.parse(exception)));
}

export interface FoundExceptions {
  readonly found: readonly string[];
  readonly remove: () => Promise<void>;
}

export async function findExceptions(): Promise<FoundExceptions> {
  const policies = Object.values(FIREWALLD_POLICIES);
  const found = await find(EXCEPTION_COMMENT, policies, await chainsOfOthers());
  return {
    found: found.map(({ text }) => text),
    remove: async () => {
      for (const each of found) await removeException(each);
    },
  };
}

/** Reads only: no table is this instance's. */
async function chainsOfOthers(): Promise<readonly FilterChain[]> {
  const nftables = await openNftables({ instanceId: "0".repeat(16) });
  try {
    return (await withIptables(await nftables.foreignChains())).chains;
  } finally {
    await nftables.close();
  }
}
