import type { Mapping } from "../reducers/state.ts";
import type { ApiDeps } from "./deps.ts";
import type { Port } from "./schemas/port.ts";
import { type PortContext, portView } from "./views/port.ts";
import { rowsReader } from "./views/rows.ts";

export type ReaderDeps = Pick<ApiDeps, "controller" | "clock" | "desired" | "reconcilers">;

/** What views of ports need, at this moment. */
export function portContext({ controller, clock, desired, reconcilers }: ReaderDeps): PortContext {
  const { state, deadlines } = controller;
  return { state, deadlines, now: clock.now(), rowsOf: rowsReader(state, desired, reconcilers) };
}

/** Reads any number of ports as they are at this moment. */
export function portReader(deps: ReaderDeps): (mapping: Mapping) => Port {
  const context = portContext(deps);
  return (mapping) => portView(mapping, context);
}
