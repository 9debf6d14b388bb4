import type { Mapping } from "../reducers/state.ts";
import type { ApiDeps } from "./deps.ts";
import type { Port } from "./schemas/port.ts";
import type { DeviceContext } from "./views/device.ts";
import { type PortContext, portView } from "./views/port.ts";
import { rowsReader } from "./views/rows.ts";

/** What views are made from, as it is at this moment. */
export function deviceContext(deps: Pick<ApiDeps, "controller" | "clock" | "tunnel">): DeviceContext {
  const { controller, clock, tunnel } = deps;
  return { state: controller.state, now: clock.now(), activity: tunnel.activity };
}

type PortDeps = Pick<ApiDeps, "controller" | "clock" | "desired" | "reconcilers">;

export function portContext({ controller, clock, desired, reconcilers }: PortDeps): PortContext {
  const { state, deadlines } = controller;
  return { state, deadlines, now: clock.now(), rowsOf: rowsReader(state, desired, reconcilers) };
}

/** Reads any number of ports as they are at this moment. */
export function portReader(deps: PortDeps): (mapping: Mapping) => Port {
  const context = portContext(deps);
  return (mapping) => portView(mapping, context);
}
