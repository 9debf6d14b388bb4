import { z } from "zod";
import type { SnapshotHeader } from "../../events/snapshot.ts";
import type { ApiDeps } from "../deps.ts";
import { notFound } from "../problem.ts";
import type { App } from "../typed-app.ts";
import { planView } from "../views/plan.ts";
import type { UnloggedActs } from "../unlogged-acts.ts";
import { isoTime } from "../../lib/iso-time.ts";
import { flag, mutationHeaders, seqParam, waitQuery } from "../schemas/fields.ts";
import { planSchema } from "../schemas/plan.ts";
import { snapshotCheck, type SnapshotDocument, snapshotSchema, snapshotWithState } from "../schemas/history.ts";

const bySeq = z.strictObject({ seq: seqParam });

export function registerSnapshotRoutes(app: App, deps: ApiDeps, acts: UnloggedActs): void {
  const { snapshots, controller, desired } = deps;
  app.get(
    "/api/v1/snapshots",
    {
      config: { scope: "read" },
      schema: {
        summary: "Snapshots, newest first",
        querystring: z.strictObject(waitQuery),
        response: { 200: z.array(snapshotSchema) },
      },
    },
    async () => (await snapshots.list()).map(snapshotView),
  );
  app.get(
    "/api/v1/snapshots/:seq",
    {
      config: { scope: "read" },
      schema: {
        summary: "One snapshot with the state it holds",
        params: bySeq,
        response: { 200: snapshotWithState },
      },
    },
    async (request) => {
      const { seq } = request.params;
      const snapshot = await snapshots.read(seq);
      if (snapshot === undefined) throw noSnapshot(seq);
      return { ...snapshotView(snapshot), state: snapshot.state };
    },
  );
  app.post(
    "/api/v1/snapshots",
    {
      config: { scope: "operate" },
      schema: {
        summary: "Save the state as it is now",
        querystring: z.strictObject({ dryRun: flag.optional() }),
        headers: mutationHeaders,
        response: { 200: planSchema, 201: snapshotSchema },
      },
    },
    async (request, reply) => {
      const { state } = controller;
      if (request.query.dryRun === "true") return reply.send(planView(state, state, [], desired));
      const made = await acts.run(request, reply, async () => snapshotView(await snapshots.create()));
      return reply.code(201).send(made);
    },
  );
  app.get(
    "/api/v1/snapshots/:seq/verify",
    {
      config: { scope: "read" },
      schema: { summary: "Fold the log from its start and compare", params: bySeq, response: { 200: snapshotCheck } },
    },
    async (request) => {
      const { seq } = request.params;
      if (!(await snapshots.list()).some((snapshot) => snapshot.seq === seq)) throw noSnapshot(seq);
      return await snapshots.verify(seq);
    },
  );
}

function snapshotView({ seq, at, chainHash, reducerVersion }: SnapshotHeader): SnapshotDocument {
  return { seq, at: isoTime(at), chainHash, reducerVersion };
}

const noSnapshot = (seq: number) =>
  notFound(`there is no snapshot at ${seq}; \`portreeve snapshot list\` shows those there are`);
