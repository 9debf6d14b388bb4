import { z } from "zod";
import { REQUEST_LOG_MAX } from "../../lib/request-log.ts";
import type { ApiDeps } from "../deps.ts";
import { isoTime } from "../../lib/iso-time.ts";
import { decimalOr, waitQuery } from "../schemas/fields.ts";
import { requestSchema } from "../schemas/status.ts";
import type { App } from "../typed-app.ts";

const requestQuery = z.strictObject({
  ...waitQuery,
  limit: decimalOr(z.number().int().min(1).max(REQUEST_LOG_MAX), 100),
  from: z.string().max(64).optional().describe("address of the device, `socket` or `token`"),
  decision: z.string().max(32).optional().describe("refused, granted, renewed, released, answered, dropped"),
  code: z.string().max(32).optional().describe("as in APPROVAL_PENDING: what waits for a yes"),
});

export function registerRequestRoutes(app: App, deps: ApiDeps): void {
  app.get(
    "/api/v1/requests",
    {
      config: { scope: "read" },
      schema: {
        summary: "The last requests with what was decided, newest first; refusals too",
        querystring: requestQuery,
        response: { 200: z.array(requestSchema) },
      },
    },
    async (request) => {
      const { limit, from, decision, code } = request.query;
      return deps.requestLog
        .list()
        .filter((entry) => from === undefined || entry.from === from)
        .filter((entry) => decision === undefined || entry.decision === decision)
        .filter((entry) => code === undefined || entry.code === code)
        .slice(0, limit)
        .map((entry) => ({ ...entry, at: isoTime(entry.at) }));
    },
  );
}
