import { z } from "zod";
import { profile } from "../../events/device.ts";
import { tableGet } from "../../lib/table.ts";
import { profileOf } from "../../reducers/device.ts";
import type { Device } from "../../reducers/state.ts";
import type { Door } from "../access.ts";
import { CONFIG_PAGE, configPage, configScript } from "../auth/config-page.ts";
import { type ConfigLink, ConfigLinks } from "../auth/config-links.ts";
import { linkUrl } from "../auth/one-time-links.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { invalid, notFound } from "../problem.ts";
import { linkRedeem, oneTimeLink } from "../schemas/account.ts";
import { type DeviceConfigDocument, deviceConfigSchema } from "../schemas/device.ts";
import { isoTime } from "../../lib/iso-time.ts";
import type { App } from "../typed-app.ts";
import { deviceFor } from "./device-routes.ts";
import { visitorOf } from "./session-routes.ts";

const byId = z.strictObject({ id: z.string().max(64).describe("id or name") });
const chosen = {
  profile: profile.optional().describe("without it the device's own"),
  endpoint: z.string().max(255).optional().describe("HOST or HOST:PORT instead of the configured one"),
};

/** What shows a device's configuration: to an administrator, or to whoever comes by a link of one. */
export function registerConfigRoutes(app: App, deps: ApiDeps, mutations: Mutations, door: Door): void {
  app.get(
    "/api/v1/devices/:id/config",
    {
      config: { scope: "admin" },
      schema: {
        summary: "Its WireGuard configuration, with its private key",
        params: byId,
        querystring: z.strictObject(chosen),
        response: { 200: deviceConfigSchema },
      },
    },
    async (request) => {
      const device = tunnelled(deviceFor(deps, request.params.id));
      const { profile: wanted = profileOf(device), endpoint = null } = request.query;
      const config = await configOf(deps, { device: device.id, profile: wanted, endpoint });
      await mutations.note(request, { type: "secret.show", device: device.id, what: "config" });
      return config;
    },
  );
  linkRoutes(app, deps, mutations, door);
  const page = { config: { scope: "open" }, schema: { hide: true } } as const;
  app.get(CONFIG_PAGE, page, async (_request, reply) => reply.type("text/html; charset=utf-8").send(configPage));
  app.get(`${CONFIG_PAGE}.js`, page, async (_request, reply) => {
    return reply.type("text/javascript; charset=utf-8").send(configScript);
  });
}

function linkRoutes(app: App, deps: ApiDeps, mutations: Mutations, door: Door): void {
  const links = new ConfigLinks(() => deps.clock.now());
  app.post(
    "/api/v1/devices/:id/config-link",
    {
      config: { scope: "admin" },
      schema: {
        summary: "A link that shows its configuration once, within 15 minutes, without a login",
        params: byId,
        body: z.strictObject(chosen).nullish(),
        response: { 201: oneTimeLink },
      },
    },
    async (request, reply) => {
      if (door.names === null) {
        throw invalid(
          "nothing listens on TCP (api.listen), so no browser can open a link; use `portreeve device config`",
        );
      }
      const device = tunnelled(deviceFor(deps, request.params.id));
      const link = {
        device: device.id,
        profile: request.body?.profile ?? profileOf(device),
        endpoint: request.body?.endpoint ?? null,
      };
      // What cannot be made now is said to who asks, not to who comes.
      await configOf(deps, link);
      await mutations.note(request, { type: "secret.show", device: device.id, what: "link" });
      const { token, expiresAt } = links.issue(link);
      const url = linkUrl(door.names, CONFIG_PAGE, token);
      return reply
        .code(201)
        .send({ url, expiresAt: isoTime(expiresAt), caFingerprint: door.authority?.fingerprint ?? null });
    },
  );
  app.post(
    "/api/v1/config-link/redeem",
    {
      config: { scope: "open" },
      schema: {
        summary: "What a link to a configuration shows, once; as plain text if that is what is accepted",
        body: linkRedeem,
        response: { 200: deviceConfigSchema },
      },
    },
    async (request, reply) => {
      const visitor = visitorOf(request);
      const what = { request: "take a configuration by link", done: "shown" };
      const config = await door.accounts.links.during(visitor, what, () => {
        return links.use(request.body.token, async (link) => {
          const found = await configOf(deps, link);
          const actor = { source: `api:link:${visitor.address}` };
          await mutations.note({ actor }, { type: "secret.show", device: link.device, what: "config" });
          return found;
        });
      });
      if (!/\btext\/plain\b/.test(request.headers.accept ?? "")) return config;
      return reply.type("text/plain; charset=utf-8").send(config.text as unknown as DeviceConfigDocument);
    },
  );
}

function tunnelled(device: Device): Device {
  if (device.subnet === null) throw invalid(`${device.name} is on a LAN and has no WireGuard configuration`);
  return device;
}

async function configOf(
  deps: ApiDeps,
  { device: id, profile: wanted, endpoint }: ConfigLink,
): Promise<DeviceConfigDocument> {
  const device = tableGet(deps.controller.state.devices, id);
  if (device === undefined) throw notFound("the device that this configuration was for is gone");
  const { notes, ...config } = await deps.tunnel.configOf(device, { profile: wanted, endpoint });
  return { name: device.name, profile: wanted, filename: `${device.name}.conf`, ...config, notes: [...notes] };
}
