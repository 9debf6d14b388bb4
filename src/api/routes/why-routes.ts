import { z } from "zod";
import { tableGet } from "../../lib/table.ts";
import type { ApiDeps } from "../deps.ts";
import { Places } from "../places.ts";
import { portContext } from "../view-contexts.ts";
import { recordsAbout } from "../record-stream.ts";
import { waitQuery } from "../schemas/fields.ts";
import { provenanceSchema } from "../schemas/provenance.ts";
import { whySchema } from "../schemas/why.ts";
import type { App } from "../typed-app.ts";
import { provenanceView } from "../views/provenance.ts";
import { whyView } from "../views/why.ts";
import { findWhy } from "../why.ts";

/** Each may fold a long past. */
const WHYS_MAX = 2;

export function registerWhyRoutes(app: App, deps: ApiDeps): void {
  const places = new Places(WHYS_MAX, "questions about the past are being answered");
  const why = async (kind: string, key: string) =>
    await places.during(async () => whyView(await findWhy(deps, kind, key), deps.reconcilers, deps.clock.now()));
  app.get(
    "/api/v1/why/port/:id",
    {
      config: { scope: "read" },
      schema: {
        summary: "Why a port is there, or why it is no more: by its id, or as 8443/tcp",
        params: z.strictObject({ id: z.string().max(64) }),
        querystring: z.strictObject(waitQuery),
        response: { 200: z.union([provenanceSchema, whySchema]) },
      },
    },
    async (request) => {
      const { id } = request.params;
      const mapping = tableGet(deps.controller.state.mappings, id);
      if (mapping === undefined) return await why("port", id);
      return provenanceView(mapping, await recordsAbout(deps.history, mapping), portContext(deps));
    },
  );
  app.get(
    "/api/v1/why/:kind/:key",
    {
      config: { scope: "read" },
      schema: {
        summary: "Why anything is there, or was: a row of the kernel, a device, a subnet",
        params: z.strictObject({ kind: z.string().max(64), key: z.string().min(1).max(128) }),
        querystring: z.strictObject(waitQuery),
        response: { 200: whySchema },
      },
    },
    async (request) => await why(request.params.kind, request.params.key),
  );
}
