import { z } from "zod";
import { ownRow } from "../../lib/own-row.ts";
import type { Subnet } from "../../reducers/state.ts";
import { subnetNamed } from "../../reducers/subnet.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { notFound } from "../problem.ts";
import { waitQuery } from "../schemas/fields.ts";
import { mutation } from "../schemas/plan.ts";
import { subnetAdd, subnetEdit, subnetSchema } from "../schemas/subnet.ts";
import type { App } from "../typed-app.ts";
import { subnetsView, subnetView } from "../views/subnet.ts";

const byId = z.strictObject({ id: z.string().max(64).describe("id or name") });
const wait = z.strictObject(waitQuery);

/** Ids come from us, names from people; an id is never a name that somebody else could take. */
export function subnetFor({ controller }: Pick<ApiDeps, "controller">, text: string): Subnet {
  const { state } = controller;
  const found = ownRow(state.subnets, text) ?? subnetNamed(state, text);
  if (found === undefined)
    throw notFound(`there is no subnet ${text}; \`portreeve subnet list\` shows those there are`);
  return found;
}

export function registerSubnetRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.get(
    "/api/v1/subnets",
    {
      config: { scope: "read" },
      schema: { summary: "WireGuard subnets", querystring: wait, response: { 200: z.array(subnetSchema) } },
    },
    async () => subnetsView(deps.controller.state),
  );
  app.get(
    "/api/v1/subnets/:id",
    {
      config: { scope: "read" },
      schema: { summary: "One subnet", params: byId, querystring: wait, response: { 200: subnetSchema } },
    },
    async (request) => subnetView(deps.controller.state, subnetFor(deps, request.params.id)),
  );
  app.post(
    "/api/v1/subnets",
    { config: { scope: "admin" }, schema: { ...mutation, summary: "Add a subnet", body: subnetAdd } },
    async (request, reply) => {
      const routes = await deps.tunnel.routes();
      return await mutations.run(request, reply, { type: "subnet.add", ...request.body, routes }, { created: true });
    },
  );
  app.patch(
    "/api/v1/subnets/:id",
    {
      config: { scope: "admin" },
      schema: { ...mutation, summary: "Change a subnet; its forwards follow its WAN", params: byId, body: subnetEdit },
    },
    async (request, reply) => {
      const { id } = subnetFor(deps, request.params.id);
      const given = Object.entries(request.body).filter(([, value]) => value !== undefined);
      const routes = await deps.tunnel.routes();
      return await mutations.run(request, reply, { type: "subnet.edit", id, ...Object.fromEntries(given), routes });
    },
  );
  app.delete(
    "/api/v1/subnets/:id",
    {
      config: { scope: "admin" },
      schema: { ...mutation, summary: "Remove a subnet with its devices and all that leads to them", params: byId },
    },
    async (request, reply) => {
      const { id } = subnetFor(deps, request.params.id);
      return await mutations.run(request, reply, { type: "subnet.remove", id });
    },
  );
}
