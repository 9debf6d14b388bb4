import type { Route } from "../api/schemas/route.ts";
import { whenText } from "./duration.ts";
import { portDetails, sourcesText, stateCell } from "./port-view.ts";
import type { Paint } from "./terminal.ts";
import { textTable } from "./text-table.ts";

/** "nas.example.org", or with its port where that is not 443: also what a `ROUTE` argument takes. */
export const routeText = ({ name, external }: Pick<Route, "name" | "external">): string =>
  external.port === 443 ? `${name}` : `${name}:${external.port}`;

export function routeTable(routes: readonly Route[], now: number, paint: Paint): string {
  if (routes.length === 0) {
    return "No TLS name is led anywhere. Lead one with `portreeve route add nas.example.org HOST`, or let a device ask by PCP.\n";
  }
  const rows = routes.map((route) => [
    routeText(route),
    `${route.internal.address}:${route.internal.port}`,
    sourcesText(route),
    route.label ?? "",
    hitsText(route),
    whenText(route.expiresAt, now),
    stateCell(route),
    { text: route.id, style: "dim" as const },
  ]);
  const errors = routes.filter(({ error }) => error !== null).map((route) => `${routeText(route)}: ${route.error}\n`);
  const table = textTable(["NAME", "TO", "SOURCE", "LABEL", "CONNECTIONS", "ENDS", "STATE", "ID"], rows, paint);
  return errors.length === 0 ? table : `${table}\n${errors.join("")}`;
}

/** "12, 3 open" */
function hitsText({ connections }: Route): string {
  if (connections === null) return "none";
  return connections.open === 0 ? `${connections.total}` : `${connections.total}, ${connections.open} open`;
}

export const routeDetails = (route: Route, now: number, paint: Paint): string =>
  portDetails(route, now, paint, [
    ["name", `${route.name}`],
    ["connections", hitsText(route)],
  ]);
