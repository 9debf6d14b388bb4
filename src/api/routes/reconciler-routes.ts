import { z } from "zod";
import { nearestWord } from "../../lib/suggestion.ts";
import type { Reconciler } from "../../reconcilers/contract.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { notFound } from "../problem.ts";
import type { UnloggedActs } from "../unlogged-acts.ts";
import type { App } from "../typed-app.ts";
import { decimalOr, flag, mutationHeaders, waitQuery } from "../schemas/fields.ts";
import { mutation } from "../schemas/plan.ts";
import { passSchema, reconcilerPlan, reconcilerSchema, reconcilerWithPasses } from "../schemas/status.ts";
import { passView, reconcilerView } from "../views/reconciler.ts";

const byName = z.strictObject({ name: z.string().max(64) });
const PAUSE_DEFAULT_SECONDS = 3600;
const pauseBody = z.strictObject({
  seconds: z
    .number()
    .int()
    .positive()
    .max(31 * 86_400)
    .default(PAUSE_DEFAULT_SECONDS),
});

/** A full pass; with dryRun only what it would change. */
const pass = {
  querystring: z.strictObject({ dryRun: flag.optional() }),
  headers: mutationHeaders,
  response: { 200: z.union([passSchema, reconcilerPlan]) },
};

export function registerReconcilerRoutes(app: App, deps: ApiDeps, mutations: Mutations, acts: UnloggedActs): void {
  const existing = (name: string): Reconciler => {
    const { reconcilers } = deps;
    const found = reconcilers.find((reconciler) => reconciler.name === name);
    if (found !== undefined) return found;
    const names = reconcilers.map((reconciler) => reconciler.name);
    const near = nearestWord(name, names);
    const hint = near === null ? `there are ${names.join(", ")}` : `did you mean ${near}?`;
    throw notFound(`there is no reconciler ${name}; ${hint}`);
  };
  readingRoutes(app, deps, existing);
  passRoutes(app, acts, existing);
  pauseRoutes(app, deps, mutations, existing);
}

type Existing = (name: string) => Reconciler;

function readingRoutes(app: App, { controller, reconcilers, clock }: ApiDeps, existing: Existing): void {
  const view = (reconciler: Reconciler) => reconcilerView(reconciler, controller.state.pauses, clock.now());
  app.get(
    "/api/v1/reconcilers",
    {
      config: { scope: "read" },
      schema: {
        summary: "All reconcilers",
        querystring: z.strictObject(waitQuery),
        response: { 200: z.array(reconcilerSchema) },
      },
    },
    async () => reconcilers.map(view),
  );
  app.get(
    "/api/v1/reconcilers/:name",
    {
      config: { scope: "read" },
      schema: {
        summary: "One reconciler with its last passes, newest first",
        params: byName,
        querystring: z.strictObject({ ...waitQuery, passes: decimalOr(z.number().int().min(0).max(500), 20) }),
        response: { 200: reconcilerWithPasses },
      },
    },
    async (request) => {
      const reconciler = existing(request.params.name);
      const passes = request.query.passes === 0 ? [] : reconciler.passes.slice(-request.query.passes);
      return { ...view(reconciler), passes: passes.map(passView).reverse() };
    },
  );
}

function passRoutes(app: App, acts: UnloggedActs, existing: Existing): void {
  app.post(
    "/api/v1/reconcilers/:name/run",
    {
      config: { scope: "operate" },
      schema: { ...pass, summary: "A full pass now: observe, compare, apply", params: byName },
    },
    async (request, reply) => {
      const reconciler = existing(request.params.name);
      if (request.query.dryRun === "true") return await planOf(reconciler);
      return await acts.run(request, reply, async () => passView(await reconciler.run("asked for by an operator")));
    },
  );
  app.post(
    "/api/v1/reconcilers/:name/release-brake",
    {
      config: { scope: "operate" },
      schema: { ...pass, summary: "Let held-back deletes through, once", params: byName },
    },
    async (request, reply) => {
      const reconciler = existing(request.params.name);
      if (request.query.dryRun === "true") return await planOf(reconciler, true);
      return await acts.run(request, reply, async () => {
        reconciler.releaseBrake();
        return passView(await reconciler.run("brake released by an operator"));
      });
    },
  );
}

function pauseRoutes(app: App, { clock }: ApiDeps, mutations: Mutations, existing: Existing): void {
  app.post(
    "/api/v1/reconcilers/:name/pause",
    {
      config: { scope: "operate" },
      schema: { ...mutation, summary: "Let the target alone for a while", params: byName, body: pauseBody.nullish() },
    },
    async (request, reply) => {
      const { name } = existing(request.params.name);
      const until = clock.now() + (request.body?.seconds ?? PAUSE_DEFAULT_SECONDS) * 1000;
      return await mutations.run(request, reply, { type: "reconciler.pause", name, until }, { settles: false });
    },
  );
  app.post(
    "/api/v1/reconcilers/:name/resume",
    { config: { scope: "operate" }, schema: { ...mutation, summary: "End a pause", params: byName } },
    async (request, reply) => {
      const { name } = existing(request.params.name);
      return await mutations.run(request, reply, { type: "reconciler.resume", name }, { settles: false });
    },
  );
}

async function planOf(reconciler: Reconciler, brakeReleased = false): Promise<z.infer<typeof reconcilerPlan>> {
  return (await reconciler.plan(brakeReleased)).map(({ op, key, owners }) => ({ op, key, owners: [...owners] }));
}
