import { z } from "zod";
import { domainName } from "../../events/fields.ts";
import { nameText } from "../../lib/domain-name.ts";
import { ownName, type View, viewsOf } from "../../reducers/dns-view.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { invalid, notFound } from "../problem.ts";
import {
  askQuery,
  dnsKeySchema,
  explanationSchema,
  queriesSchema,
  recordAdd,
  recordEdit,
  recordSchema,
  recordsQuery,
} from "../schemas/dns.ts";
import { waitQuery } from "../schemas/fields.ts";
import { mutation } from "../schemas/plan.ts";
import { withSecret } from "../sealing.ts";
import type { App } from "../typed-app.ts";
import { recordView, recordsView } from "../views/dns.ts";
import { deviceFor } from "./device-routes.ts";

const byId = z.strictObject({ id: z.string().max(64) });
const byDevice = z.strictObject({ id: z.string().max(64).describe("id or name") });

const contextOf = ({ controller }: Pick<ApiDeps, "controller">) => ({
  state: controller.state,
  deadlines: controller.deadlines,
});

export function registerDnsRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  readRoutes(app, deps);
  changeRoutes(app, deps, mutations);
  nameRoutes(app, deps, mutations);
  askRoute(app, deps);
  queriesRoute(app, deps);
  keyRoute(app, deps, mutations);
}

function askRoute(app: App, deps: ApiDeps): void {
  app.get(
    "/api/v1/dns/ask",
    {
      config: { scope: "read" },
      schema: {
        summary: "What a client would be answered, and why: a zone of ours, from memory, forwarded to whom, blocked",
        querystring: z.strictObject({ ...waitQuery, ...askQuery }),
        response: { 200: explanationSchema },
      },
    },
    async (request) => {
      const { name, type, view: wanted } = request.query;
      const views = viewsOf(deps.controller.state);
      const view =
        wanted === undefined ? views[0] : views.find(({ id, subnet }) => id === wanted || subnet?.name === wanted);
      if (wanted !== undefined && view === undefined)
        throw notFound(`no subnet or LAN with a resolver is called ${wanted}`);
      if (view === undefined) throw notFound("no subnet or LAN has a resolver of ours");
      const nameOf = ({ id, subnet }: View): string => subnet?.name ?? id;
      const otherViews = views.filter((each) => each !== view).map(nameOf);
      const said = await deps.names.ask(view.id, name, type.toUpperCase());
      return { ...said, viewName: nameOf(view), otherViews };
    },
  );
}

function queriesRoute(app: App, deps: ApiDeps): void {
  app.get(
    "/api/v1/dns/queries",
    {
      config: { scope: "operate" },
      schema: {
        summary: "Who asked what, newest first: in memory, and only if the configuration says so",
        querystring: z.strictObject(waitQuery),
        response: { 200: queriesSchema },
      },
    },
    () => deps.names.queries(),
  );
}

function readRoutes(app: App, deps: ApiDeps): void {
  app.get(
    "/api/v1/dns/records",
    {
      config: { scope: "read" },
      schema: {
        summary: "Names of ours and their records: operators', devices', and what devices are called by themselves",
        querystring: z.strictObject({ ...waitQuery, ...recordsQuery }),
        response: { 200: z.array(recordSchema) },
      },
    },
    async (request) => {
      const { name, device } = request.query;
      const at = name === undefined ? null : nameText(name);
      if (name !== undefined && at === null) throw invalid(`${name} is no name`);
      const of = device === undefined ? null : deviceFor(deps, device).id;
      return recordsView(contextOf(deps)).filter(
        (row) => (at === null || row.name === at) && (of === null || row.device?.id === of),
      );
    },
  );
  app.get(
    "/api/v1/dns/records/:id",
    {
      config: { scope: "read" },
      schema: {
        summary: "One record",
        params: byId,
        querystring: z.strictObject(waitQuery),
        response: { 200: recordSchema },
      },
    },
    async (request) => {
      const found = recordView(contextOf(deps), request.params.id);
      if (found === null) throw notFound(`there is no record ${request.params.id}`);
      return found;
    },
  );
}

function changeRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.post(
    "/api/v1/dns/records",
    { config: { scope: "operate" }, schema: { ...mutation, summary: "Add a record", body: recordAdd } },
    async (request, reply) => {
      const { ttl, views } = request.body;
      const name = nameText(request.body.name);
      if (name === null) throw invalid(`${request.body.name} is no name, as in nas.home.arpa`);
      const { type: recordType, value } = deps.names.canonical(request.body.type, request.body.value);
      const command = { type: "record.add", name, recordType, value, ttl, views } as const;
      return await mutations.run(request, reply, command, { created: true });
    },
  );
  app.patch(
    "/api/v1/dns/records/:id",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Change a record that an operator made", params: byId, body: recordEdit },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { ttl, value } = request.body;
      const type = recordView(contextOf(deps), id)?.type;
      if (type === undefined) throw notFound(`there is no record ${id}; \`portreeve dns list\` shows those there are`);
      const edit = {
        ...(ttl !== undefined && { ttl }),
        ...(value !== undefined && { value: deps.names.canonical(type, value).value }),
      };
      return await mutations.run(request, reply, { type: "record.edit", id, ...edit });
    },
  );
  app.delete(
    "/api/v1/dns/records/:id",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Remove a record; a device may put its own there again", params: byId },
    },
    async (request, reply) => await mutations.run(request, reply, { type: "record.remove", id: request.params.id }),
  );
}

function nameRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  for (const [verb, allowed, summary] of [
    ["allow-name", true, "Say yes to a name, and to all below it, that a device asks for"],
    ["deny-name", false, "Take that yes back, and what was published on its account"],
  ] as const) {
    app.post(
      `/api/v1/devices/:id/${verb}`,
      {
        config: { scope: "operate" },
        schema: { ...mutation, summary, params: byDevice, body: z.strictObject({ name: domainName }) },
      },
      async (request, reply) => {
        const { id } = deviceFor(deps, request.params.id);
        return await mutations.run(request, reply, { type: "name.allow", id, name: request.body.name, allowed });
      },
    );
  }
}

/** It is logged before anyone sees it. */
function keyRoute(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.post(
    "/api/v1/devices/:id/dns-key",
    {
      config: { scope: "admin" },
      schema: {
        summary: "The key that its DNS updates are signed with; on a LAN one is made if there is none",
        params: byDevice,
        response: { 200: dnsKeySchema },
      },
    },
    async (request) => {
      const device = deviceFor(deps, request.params.id);
      const { id, subnet, dnsKeySecret, name } = device;
      if (ownName(deps.controller.state, device) === null) {
        throw invalid(
          `${name} is on a LAN that has no resolver of ours: \`dns: true\` in the configuration gives it one`,
        );
      }
      if (subnet === null && dnsKeySecret === null) {
        await withSecret(deps, "dns-key", deps.names.newKey(), async (secretId) => {
          await mutations.note(request, { type: "device.edit", id, dnsKeySecret: secretId });
        });
      }
      const key = await deps.names.keyOf(deviceFor(deps, id));
      await mutations.note(request, { type: "secret.show", device: id, what: "dns-key" });
      return key;
    },
  );
}
