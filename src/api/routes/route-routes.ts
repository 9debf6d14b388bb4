import { z } from "zod";
import { ipv4 } from "../../events/fields.ts";
import { decimal, waitQuery } from "../schemas/fields.ts";
import { serverNameOf } from "../../lib/server-name.ts";
import { tableGet } from "../../lib/table.ts";
import { addressesOf } from "../../reducers/select/forward-keys.ts";
import type { Mapping } from "../../reducers/state.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { notFound } from "../problem.ts";
import { mutation } from "../schemas/plan.ts";
import { type Route, routeAdd, routeEdit, routeSchema } from "../schemas/route.ts";
import type { App } from "../typed-app.ts";
import { portReader } from "../view-contexts.ts";
import { filterRoutes } from "../views/port-filter.ts";

const byId = z.strictObject({ id: z.string().max(64) });
const listQuery = z.strictObject({
  ...waitQuery,
  name: z.string().max(255).optional().describe("TLS name"),
  port: decimal(z.number().int().min(1).max(65535)).optional().describe("external port"),
  address: ipv4.optional().describe("external address"),
  device: ipv4.optional().describe("internal address"),
});

/** What TLS names of a shared port lead to. A route is a port with a name; keeping and blocking it is a port's. */
export function registerRouteRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  const existing = (id: string): Mapping => {
    const mapping = tableGet(deps.controller.state.mappings, id);
    if (mapping !== undefined && mapping.name !== null) return mapping;
    throw notFound(`there is no route ${id}; \`portreeve route list\` shows those there are`);
  };
  readingRoutes(app, deps, existing);
  app.post(
    "/api/v1/routes",
    { config: { scope: "operate" }, schema: { ...mutation, summary: "Lead a TLS name to a host", body: routeAdd } },
    async (request, reply) => {
      const { internalPort = request.body.externalPort, ...body } = request.body;
      const place = { protocol: "tcp", count: 1, from: [], internalPort } as const;
      return await mutations.run(request, reply, { type: "port.add", ...place, ...body }, { created: true });
    },
  );
  app.patch(
    "/api/v1/routes/:id",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Change a route; `enabled` opens and closes it", params: byId, body: routeEdit },
    },
    async (request, reply) => {
      const { id } = existing(request.params.id);
      const given = Object.entries(request.body).filter(([, value]) => value !== undefined);
      return await mutations.run(request, reply, { type: "port.edit", id, ...Object.fromEntries(given) });
    },
  );
  app.delete(
    "/api/v1/routes/:id",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "End all claims on a route; connections that there are go on", params: byId },
    },
    async (request, reply) =>
      await mutations.run(request, reply, { type: "port.remove", id: existing(request.params.id).id }),
  );
}

function readingRoutes(app: App, deps: ApiDeps, existing: (id: string) => Mapping): void {
  app.get(
    "/api/v1/routes",
    {
      config: { scope: "read" },
      schema: {
        summary: "What TLS names of shared ports lead to",
        querystring: listQuery,
        response: { 200: z.array(routeSchema) },
      },
    },
    async (request) => {
      const { name, ...filter } = request.query;
      const kept = name === undefined ? undefined : (serverNameOf(name) ?? name);
      const found = filterRoutes(deps.controller.state, { ...filter, ...(kept !== undefined && { name: kept }) });
      return await routesView(deps, found);
    },
  );
  app.get(
    "/api/v1/routes/:id",
    {
      config: { scope: "read" },
      schema: {
        summary: "One route",
        params: byId,
        querystring: z.strictObject(waitQuery),
        response: { 200: routeSchema },
      },
    },
    async (request) => (await routesView(deps, [existing(request.params.id)]))[0] as Route,
  );
}

/** Hosts inside may come by another address than the one that clients are told: each counts. */
async function routesView(deps: ApiDeps, mappings: readonly Mapping[]): Promise<Route[]> {
  const hits = await deps.routeHits();
  const read = portReader(deps);
  return mappings.map((mapping): Route => {
    const keys = addressesOf(deps.controller.state, mapping.wan).map(
      (address) => `route|${address}|${mapping.externalPort}|${mapping.name}`,
    );
    const counted = keys.flatMap((key) => hits.get(key) ?? []);
    const sum = (field: "total" | "open"): number => counted.reduce((all, each) => all + each[field], 0);
    const connections = counted.length === 0 ? null : { total: sum("total"), open: sum("open") };
    return { ...read(mapping), connections };
  });
}
