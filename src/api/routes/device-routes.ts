import { z } from "zod";
import { tableGet } from "../../lib/table.ts";
import { deviceNamed } from "../../reducers/device.ts";
import type { Device } from "../../reducers/state.ts";
import type { ApiDeps, DeviceKeys } from "../deps.ts";
import { deviceContext } from "../view-contexts.ts";
import type { MutationRequest, Mutations } from "../mutation.ts";
import { invalid, notFound } from "../problem.ts";
import {
  allowanceSchema,
  deviceAdd,
  deviceEdit,
  deviceSchema,
  trafficQuery,
  trafficSchema,
} from "../schemas/device.ts";
import { waitQuery } from "../schemas/fields.ts";
import { mutation } from "../schemas/plan.ts";
import { sealing, secretsOf, unmadeKeys } from "../sealing.ts";
import type { App } from "../typed-app.ts";
import { devicesView, deviceView, trafficView } from "../views/device.ts";
import { subnetFor } from "./subnet-routes.ts";

const byId = z.strictObject({ id: z.string().max(64).describe("id or name") });
const wait = z.strictObject(waitQuery);

export function deviceFor({ controller }: Pick<ApiDeps, "controller">, text: string): Device {
  const { state } = controller;
  const found = tableGet(state.devices, text) ?? deviceNamed(state, text);
  if (found === undefined)
    throw notFound(`there is no device ${text}; \`portreeve device list\` shows those there are`);
  return found;
}

export function registerDeviceRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.get(
    "/api/v1/devices",
    {
      config: { scope: "read" },
      schema: {
        summary: "Registered devices, and addresses that hold a port",
        querystring: wait,
        response: { 200: z.array(deviceSchema) },
      },
    },
    async () => devicesView(deviceContext(deps)),
  );
  app.get(
    "/api/v1/devices/:id",
    {
      config: { scope: "read" },
      schema: { summary: "One device", params: byId, querystring: wait, response: { 200: deviceSchema } },
    },
    async (request) => deviceView(deviceContext(deps), deviceFor(deps, request.params.id)),
  );
  app.get(
    "/api/v1/devices/:id/traffic",
    {
      config: { scope: "read" },
      schema: {
        summary: "What it received and sent through the tunnel, over the last day or quarter of an hour",
        params: byId,
        querystring: trafficQuery,
        response: { 200: trafficSchema },
      },
    },
    async (request) => {
      const device = deviceFor(deps, request.params.id);
      if (device.publicKey === null) throw invalid(`${device.name} is on a LAN, where its traffic is not counted`);
      return trafficView(deps.tunnel.activity, device.publicKey, request.query.span);
    },
  );
  addRoute(app, deps, mutations);
  editRoutes(app, deps, mutations);
  keyRoutes(app, deps, mutations);
}

function addRoute(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.post(
    "/api/v1/devices",
    { config: { scope: "admin" }, schema: { ...mutation, summary: "Register a device", body: deviceAdd } },
    async (request, reply) => {
      const { body } = request;
      const subnet = body.interface !== null ? null : subnetOf(deps, body.subnet);
      if (body.interface !== null && body.subnet !== null)
        throw invalid("a device is on a subnet or on a LAN, not on both");
      const add = { type: "device.add", ...body, subnet } as const;
      if (subnet === null) {
        const command = { ...add, privateKeySecret: null, presharedKeySecret: null };
        return await mutations.run(request, reply, command, { created: true });
      }
      return await withKeys(deps, request, body.publicKey, async (keys) => {
        return await mutations.run(request, reply, { ...add, ...keys }, { created: true });
      });
    },
  );
}

function subnetOf(deps: ApiDeps, named: string | null): string {
  if (named !== null) return subnetFor(deps, named).id;
  const [only, ...others] = Object.values(deps.controller.state.subnets);
  if (only === undefined)
    throw invalid("there is no subnet yet; add one, as in `portreeve subnet add home 10.59.7.0/24`");
  if (others.length > 0) {
    const names = [only, ...others].map((each) => each.name).join(", ");
    throw invalid(`there are several subnets: name one of ${names}`);
  }
  return only.id;
}

/** Keys are made and sealed before what names them is decided; for a dry run none are. */
async function withKeys<Result>(
  deps: ApiDeps,
  request: Pick<MutationRequest, "query">,
  publicKey: string | null,
  submit: (keys: DeviceKeys) => Promise<Result>,
): Promise<Result> {
  if (request.query.dryRun === "true") return await submit(unmadeKeys(publicKey));
  const [keys] = (await deps.tunnel.sealKeys([{ publicKey }])) as [DeviceKeys];
  return await sealing(deps, secretsOf(keys), async () => await submit(keys));
}

function editRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.patch(
    "/api/v1/devices/:id",
    {
      config: { scope: "admin" },
      schema: { ...mutation, summary: "Change a device; rights hold and end at once", params: byId, body: deviceEdit },
    },
    async (request, reply) => {
      const { id } = deviceFor(deps, request.params.id);
      const given = Object.entries(request.body).filter(([, value]) => value !== undefined);
      return await mutations.run(request, reply, { type: "device.edit", id, ...Object.fromEntries(given) });
    },
  );
  app.delete(
    "/api/v1/devices/:id",
    {
      config: { scope: "admin" },
      schema: { ...mutation, summary: "Remove a device with all that leads to it", params: byId },
    },
    async (request, reply) => {
      const { id } = deviceFor(deps, request.params.id);
      return await mutations.run(request, reply, { type: "device.remove", id });
    },
  );
  for (const [verb, allowed, summary] of [
    ["allow", true, "Say yes to one port that a device asks for"],
    ["deny", false, "Take that yes back, and what it opened"],
  ] as const) {
    app.post(
      `/api/v1/devices/:id/${verb}`,
      {
        config: { scope: "operate" },
        schema: { ...mutation, summary, params: byId, body: allowanceSchema.omit({ device: true }) },
      },
      async (request, reply) => {
        const { id } = deviceFor(deps, request.params.id);
        return await mutations.run(request, reply, { type: "device.allow", id, ...request.body, allowed });
      },
    );
  }
}

function keyRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.post(
    "/api/v1/devices/:id/rekey",
    {
      config: { scope: "admin" },
      schema: { ...mutation, summary: "Give a device new keys; its old configuration ends", params: byId },
    },
    async (request, reply) => {
      const { id, subnet, name } = deviceFor(deps, request.params.id);
      if (subnet === null) throw invalid(`${name} is on a LAN and has no WireGuard keys`);
      return await withKeys(deps, request, null, async (keys) => {
        return await mutations.run(request, reply, { type: "device.edit", id, ...keys });
      });
    },
  );
  app.delete(
    "/api/v1/devices/:id/private-key",
    {
      config: { scope: "admin" },
      schema: {
        ...mutation,
        summary: "Erase its private key here; the device goes on with its own copy",
        params: byId,
      },
    },
    async (request, reply) => {
      const { id } = deviceFor(deps, request.params.id);
      return await mutations.run(request, reply, { type: "device.edit", id, privateKeySecret: null });
    },
  );
}
