import { z } from "zod";
import type { Change } from "../../reducers/decide/undo.ts";
import { ownRow } from "../../lib/own-row.ts";
import type { Actor } from "../auth/actor.ts";
import { includes } from "../auth/scope.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { Places } from "../places.ts";
import { notFound, RequestProblem } from "../problem.ts";
import { confirmationSchema, revertPlan, revertResult } from "../schemas/change.ts";
import { seqParam, waitQuery } from "../schemas/fields.ts";
import { mutation } from "../schemas/plan.ts";
import type { App } from "../typed-app.ts";
import { confirmationsView } from "../views/confirmation.ts";

/** Each folds the log up to the change, which may be a whole state beside the current one. */
const REVERTS_MAX = 2;

const reverting = {
  ...mutation,
  response: { 200: z.union([revertResult, revertPlan]), 202: revertResult },
};

export function registerChangeRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  const places = new Places(REVERTS_MAX, "changes are being read from the log");
  revertRoutes(app, deps, mutations, places);
  app.get(
    "/api/v1/confirmations",
    {
      config: { scope: "read" },
      schema: {
        summary: "Changes that are taken back by themselves unless they are confirmed",
        querystring: z.strictObject(waitQuery),
        response: { 200: z.array(confirmationSchema) },
      },
    },
    async () => confirmationsView(deps.controller.state),
  );
  app.post(
    "/api/v1/confirmations/:id/confirm",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Keep a change for good", params: z.strictObject({ id: z.string().max(64) }) },
    },
    async (request, reply) => {
      await refuseUnlessBegunBy(request.actor, deps, request.params.id);
      const command = { type: "confirmation.give", id: request.params.id } as const;
      return await mutations.run(request, reply, command, { settles: false });
    },
  );
}

/** An admin's: what is taken back may be an admin's change. */
function revertRoutes(app: App, { history }: ApiDeps, mutations: Mutations, places: Places): void {
  app.post(
    "/api/v1/undo",
    {
      config: { scope: "admin" },
      schema: { ...reverting, summary: "Take the last change of an operator back; once more brings it back" },
    },
    async (request, reply) => {
      const change = await places.during(async () => {
        const seq = await history.lastOfOperator();
        if (seq === null)
          throw notFound("no change of an operator is in the log; `portreeve events list` shows what is");
        return await history.change(seq);
      });
      const done = await mutations.run(request, reply, { type: "change.revert", change });
      // A repeated request is answered for the first: by then the last change is the undo itself.
      const undoing = "dryRun" in done ? undefined : await history.record(done.seq);
      return { ...done, reverts: undoing?.causedBy ?? firstSeq(change) };
    },
  );
  app.post(
    "/api/v1/revert/:seq",
    {
      config: { scope: "admin" },
      schema: {
        ...reverting,
        summary: "Take back the change that a record belongs to; of a device's, what it was given",
        params: z.strictObject({ seq: seqParam }),
      },
    },
    async (request, reply) => {
      const change = await places.during(() => history.change(request.params.seq));
      const done = await mutations.run(request, reply, { type: "change.revert", change });
      return { ...done, reverts: firstSeq(change) };
    },
  );
}

/** Who began a trial may end it well; an admin may in any case. */
async function refuseUnlessBegunBy(
  { source, scopes }: Actor,
  { controller, history }: ApiDeps,
  id: string,
): Promise<void> {
  if (includes(scopes, "admin")) return;
  const [begun] = ownRow(controller.state.confirmations, id)?.seqs ?? [];
  if (begun === undefined || (await history.record(begun))?.source === source) return;
  const message = "somebody else made that change: who made it confirms it, or an admin";
  throw new RequestProblem({ code: "NOT_AUTHORIZED", message });
}

const firstSeq = ({ records }: Change): number => records[0]?.seq ?? 0;
