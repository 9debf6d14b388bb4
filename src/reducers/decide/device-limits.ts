import { siteOf } from "../served.ts";
import type { State } from "../state.ts";
import { countsOf, tokensLeft, usagesOf } from "../usage.ts";
import type { Refusal } from "./command.ts";

interface Asked {
  readonly interface: string;
  readonly device: string;
  /** What it is counted by, if not by this address. */
  readonly host?: string | null;
  readonly now: number;
}

/** Why a device may not have a mapping more. */
export function overQuota(state: State, { interface: iface, device, host }: Asked): Refusal | null {
  const limits = state.settings.portControl.perDevice;
  const { mappings, ports } = countsOf(usagesOf(state, siteOf(state, iface), host ?? device));
  if (mappings < limits.mappings && ports < limits.ports) return null;
  const message = `${device} holds ${mappings} mappings, as many as it may; release one first`;
  return { code: "QUOTA_EXCEEDED", message, retryAfter: 30 };
}

/** Why a device may not cause an event now. */
export function tooOften(state: State, { interface: iface, device, host, now }: Asked): Refusal | null {
  const limits = state.settings.portControl.perDevice;
  if (tokensLeft(usagesOf(state, siteOf(state, iface), host ?? device), limits, now) >= 1) return null;
  const message = `this device changes its mappings too often; ${limits.eventsPerMinute} changes a minute are let through`;
  return { code: "EVENT_QUOTA_EXCEEDED", message, retryAfter: 30 };
}
