import { Readable } from "node:stream";
import { z } from "zod";
import { instantOf } from "../../lib/iso-time.ts";
import type { State } from "../../reducers/state.ts";
import type { ApiDeps } from "../deps.ts";
import { Places } from "../places.ts";
import { invalid, notFound } from "../problem.ts";
import { seqAt } from "../record-stream.ts";
import type { App } from "../typed-app.ts";
import { waitQuery } from "../schemas/fields.ts";
import { type StateDiff, stateDiff, type StateDocument, stateSchema } from "../schemas/history.ts";
import { stateDocument } from "../views/state.ts";
import { stateDiffDocument } from "../views/state-diff.ts";

const moment = z.string().max(40).describe("a seq, or an ISO 8601 time: the state after the last record up to it");

/** A state of 60,000 ports is some 100 MB while it is folded, compared and printed. */
const STATES_MAX = 2;

export function registerStateRoutes(app: App, deps: ApiDeps): void {
  const places = new Places(STATES_MAX, "requests for a whole state are under way");
  app.get(
    "/api/v1/state",
    {
      config: { scope: "read" },
      schema: {
        summary: "The folded state, now or at any record",
        querystring: z.strictObject({ ...waitQuery, at: moment.optional() }),
        response: { 200: stateSchema },
      },
    },
    async (request, reply) => {
      const { at } = request.query;
      reply.raw.once("close", places.take());
      const state = at === undefined ? deps.controller.state : await stateOf(deps, at);
      return reply.type("application/json").send(Readable.from(stateDocument(state)) as unknown as StateDocument);
    },
  );
  app.get(
    "/api/v1/state/diff",
    {
      config: { scope: "read" },
      schema: {
        summary: "What differs between two states",
        querystring: z.strictObject({ ...waitQuery, from: moment, to: moment.optional().describe("now if left out") }),
        response: { 200: stateDiff },
      },
    },
    async (request, reply) => {
      const { from, to } = request.query;
      reply.raw.once("close", places.take());
      const after = to === undefined ? deps.controller.state : await stateOf(deps, to);
      const text = stateDiffDocument(await stateOf(deps, from), after);
      return reply.type("application/json").send(Readable.from(text) as unknown as StateDiff);
    },
  );
}

async function stateOf({ history, controller }: ApiDeps, moment: string): Promise<State> {
  const seq = await seqOf(history, moment);
  if (seq > history.head.seq) throw notFound(`there is no record ${seq}; the log goes to ${history.head.seq}`);
  return seq === controller.state.seq ? controller.state : await history.stateAt(seq);
}

async function seqOf(history: ApiDeps["history"], moment: string): Promise<number> {
  if (/^\d{1,15}$/.test(moment)) return Number(moment);
  const instant = instantOf(moment);
  if (instant === null) throw invalid(`${moment} is neither a seq nor an ISO 8601 time`);
  const seq = await seqAt(history, instant);
  if (seq !== null) return seq;
  const first = (await history.readableAfter()) + 1;
  const since = (await history.record(first))?.at;
  const from = since === undefined ? "" : ` of ${new Date(since).toISOString()}`;
  throw notFound(`the state at ${moment} can't be told any more: the first record there is is ${first}${from}`);
}
