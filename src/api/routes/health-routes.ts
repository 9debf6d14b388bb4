import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { App } from "../typed-app.ts";
import { waitQuery } from "../schemas/fields.ts";
import { readinessSchema, statusSchema } from "../schemas/status.ts";
import { statusView } from "../views/status.ts";

export function registerHealthRoutes(app: App, deps: ApiDeps): void {
  app.get(
    "/healthz",
    {
      config: { scope: "open" },
      schema: {
        summary: "The process answers",
        security: [],
        response: { 200: z.strictObject({ ok: z.literal(true) }) },
      },
    },
    async () => ({ ok: true as const }),
  );
  app.get(
    "/readyz",
    {
      config: { scope: "open" },
      schema: {
        summary: "Promises can be made; 503 with the reasons while they can't",
        security: [],
        response: { 200: readinessSchema, 503: readinessSchema },
      },
    },
    async (_request, reply) => {
      const { ready, reasons } = deps.readiness();
      return reply.code(ready ? 200 : 503).send({ ready, reasons: [...reasons] });
    },
  );
  app.get(
    "/metrics",
    { config: { scope: "read" }, schema: { summary: "Figures for Prometheus" } },
    async (_request, reply) => {
      return reply.type(deps.metrics.contentType).send(await deps.metrics.text());
    },
  );
  app.get(
    "/api/v1/status",
    {
      config: { scope: "read" },
      schema: {
        summary: "Everything on one page",
        querystring: z.strictObject(waitQuery),
        response: { 200: statusSchema },
      },
    },
    async () => {
      const { controller, reconcilers, info, clock, history } = deps;
      const { state, mode } = controller;
      const base = history.base.seq;
      return statusView({ state, mode, reconcilers, info, base, readiness: deps.readiness(), now: clock.now() });
    },
  );
}
