import { applyDeclaration } from "../declaration.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { declarationApply } from "../schemas/declaration.ts";
import { mutation } from "../schemas/plan.ts";
import type { App } from "../typed-app.ts";

/** As many devices as there may be, each with all that can be said of it. */
const BODY_MAX_BYTES = 8 << 20;

export function registerDeclarationRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.post(
    "/api/v1/declaration",
    {
      bodyLimit: BODY_MAX_BYTES,
      config: { scope: "admin" },
      schema: {
        ...mutation,
        summary: "Make subnets, devices and forwards what a declaration says, all of it or nothing",
        body: declarationApply,
      },
    },
    async (request, reply) => {
      const wanted = { ...request.body, keys: new Map<string, never>(), gatewayKey: null, secretBody: false };
      return await applyDeclaration({ deps, mutations }, request, reply, wanted);
    },
  );
}
