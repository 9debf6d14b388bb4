import { parseIpv4 } from "../../lib/ip.ts";
import { wanAddress } from "../external-address.ts";
import type { State } from "../state.ts";
import type { Refusal } from "./command.ts";

/** Why a WAN cannot be named: it is none of the interfaces, nor one of their addresses. */
export function unknownWan(state: State, wan: string): Refusal | null {
  const { interfaces } = state.settings.wan;
  if (interfaces.includes(wan)) return null;
  if (parseIpv4(wan) !== null && wanAddress(state, wan) !== null) return null;
  const known = [...interfaces, ...interfaces.flatMap((name) => wanAddress(state, name)?.matched ?? [])];
  const there = known.length === 0 ? "no WAN is known yet" : `there are ${[...new Set(known)].join(", ")}`;
  return { code: "INVALID_REQUEST", message: `${wan} is neither a WAN interface nor an address of one; ${there}` };
}
