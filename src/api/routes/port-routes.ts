import { Readable } from "node:stream";
import { z } from "zod";
import { hostAddress, transport } from "../../events/fields.ts";
import { tableGet } from "../../lib/table.ts";
import type { Command } from "../../reducers/decide/command.ts";
import type { PortCommand } from "../../reducers/decide/port.ts";
import type { Mapping } from "../../reducers/state.ts";
import type { ApiDeps } from "../deps.ts";
import { jsonArray } from "../json-array.ts";
import type { Mutations } from "../mutation.ts";
import { portReader } from "../view-contexts.ts";
import { notFound } from "../problem.ts";
import type { App } from "../typed-app.ts";
import { decimal, waitQuery } from "../schemas/fields.ts";
import { mutation } from "../schemas/plan.ts";
import { blockSchema, type Port, portAdd, portBatch, portEdit, portSchema, portUnblock } from "../schemas/port.ts";
import { blocksView } from "../views/port.ts";
import { filterMappings } from "../views/port-filter.ts";

const byId = z.strictObject({ id: z.string().max(64) });
const wait = z.strictObject(waitQuery);

const listQuery = z.strictObject({
  ...waitQuery,
  port: decimal(z.number().int().min(1).max(65535))
    .optional()
    .describe("external port; a range holds each of its ports"),
  protocol: transport.optional(),
  address: hostAddress.optional().describe("external address; of a pinhole its host's own"),
  device: hostAddress.optional().describe("internal address"),
});

export function registerPortRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  readingRoutes(app, deps);
  app.post(
    "/api/v1/ports",
    { config: { scope: "operate" }, schema: { ...mutation, summary: "Forward a port", body: portAdd } },
    async (request, reply) => {
      const { internalPort = request.body.externalPort, ...body } = request.body;
      return await mutations.run(request, reply, { type: "port.add", internalPort, ...body }, { created: true });
    },
  );
  app.patch(
    "/api/v1/ports/:id",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Change a port; `enabled` opens and closes it", params: byId, body: portEdit },
    },
    async (request, reply) => {
      const given = Object.entries(request.body).filter(([, value]) => value !== undefined);
      const command = { type: "port.edit", id: request.params.id, ...Object.fromEntries(given) } as Command;
      return await mutations.run(request, reply, command);
    },
  );
  app.delete(
    "/api/v1/ports/:id",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "End all claims on a port, and its live flows", params: byId },
    },
    async (request, reply) => await mutations.run(request, reply, { type: "port.remove", id: request.params.id }),
  );
  app.post(
    "/api/v1/ports/:id/keep",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Keep a port that a device asked for, without end", params: byId },
    },
    async (request, reply) => await mutations.run(request, reply, { type: "port.keep", id: request.params.id }),
  );
  app.post(
    "/api/v1/ports/:id/block",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "End a port and refuse further asking for it", params: byId },
    },
    async (request, reply) => await mutations.run(request, reply, { type: "port.block", id: request.params.id }),
  );
  app.post(
    "/api/v1/blocks/lift",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Let a device ask for a port again", body: portUnblock },
    },
    async (request, reply) => await mutations.run(request, reply, { type: "port.unblock", ...request.body }),
  );
  app.post(
    "/api/v1/ports/batch",
    {
      config: { scope: "operate" },
      schema: {
        ...mutation,
        summary: "Several changes of ports as one: one undo takes all of them back",
        body: portBatch,
      },
    },
    async (request, reply) => {
      const changes = request.body.changes.map(commandOf);
      return await mutations.run(request, reply, { type: "port.batch", changes }, { created: true });
    },
  );
}

function commandOf({ op, ...fields }: z.infer<typeof portBatch>["changes"][number]): PortCommand {
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  // What is forwarded keeps its port, unless another is named.
  const kept = op === "add" ? { internalPort: given["externalPort"] } : {};
  return { type: `port.${op}`, ...kept, ...given } as PortCommand;
}

function readingRoutes(app: App, deps: ApiDeps): void {
  const existing = (id: string): Mapping => {
    const mapping = tableGet(deps.controller.state.mappings, id);
    if (mapping === undefined) throw notFound(`there is no port ${id}; \`portreeve port list\` shows those there are`);
    return mapping;
  };
  app.get(
    "/api/v1/ports",
    {
      config: { scope: "read" },
      schema: {
        summary: "All ports, by external port",
        querystring: listQuery,
        response: { 200: z.array(portSchema) },
      },
    },
    async (request, reply) => {
      const mappings = filterMappings(deps.controller.state, request.query);
      const read = portReader(deps);
      // The schema says what the text holds; a stream is sent as it is.
      return reply.type("application/json").send(Readable.from(jsonArray(mappings, read)) as unknown as Port[]);
    },
  );
  app.get(
    "/api/v1/ports/:id",
    {
      config: { scope: "read" },
      schema: { summary: "One port", params: byId, querystring: wait, response: { 200: portSchema } },
    },
    async (request) => portReader(deps)(existing(request.params.id)),
  );
  app.get(
    "/api/v1/blocks",
    {
      config: { scope: "read" },
      schema: { summary: "What devices may not ask for", querystring: wait, response: { 200: z.array(blockSchema) } },
    },
    async () => blocksView(deps.controller.state),
  );
}
