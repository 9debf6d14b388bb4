import { z } from "zod";
import { REQUEST_LOG_MAX } from "../../lib/request-log.ts";
import type { ApiDeps } from "../deps.ts";
import type { App } from "../typed-app.ts";
import { isoTime, waitQuery } from "../schemas/fields.ts";
import { deviceSchema, requestSchema } from "../schemas/status.ts";
import { devicesView } from "../views/device.ts";

const requestQuery = z.strictObject({
  ...waitQuery,
  limit: z.coerce.number().int().min(1).max(REQUEST_LOG_MAX).default(100),
  from: z.string().max(64).optional().describe("address of the device, `socket` or `token`"),
  decision: z.string().max(32).optional().describe("refused, granted, renewed, released, answered, dropped"),
});

export function registerDeviceRoutes(app: App, deps: ApiDeps): void {
  app.get(
    "/api/v1/devices",
    {
      schema: {
        summary: "Devices that hold a port",
        querystring: z.strictObject(waitQuery),
        response: { 200: z.array(deviceSchema) },
      },
    },
    async () => devicesView(deps.controller.state, deps.clock.now()),
  );
  app.get(
    "/api/v1/requests",
    {
      schema: {
        summary: "The last requests with what was decided, newest first; refusals too",
        querystring: requestQuery,
        response: { 200: z.array(requestSchema) },
      },
    },
    async (request) => {
      const { limit, from, decision } = request.query;
      return deps.requestLog
        .list()
        .filter((entry) => from === undefined || entry.from === from)
        .filter((entry) => decision === undefined || entry.decision === decision)
        .slice(0, limit)
        .map((entry) => ({ ...entry, at: isoTime(entry.at) }));
    },
  );
}
