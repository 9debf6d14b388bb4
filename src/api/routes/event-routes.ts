import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { z } from "zod";
import type { PortreeveRecord } from "../../events/index.ts";
import { nearestWord } from "../../lib/suggestion.ts";
import type { ApiDeps } from "../deps.ts";
import { Places } from "../places.ts";
import { invalid, notFound, RequestProblem } from "../problem.ts";
import { firstRecords, followRecords, lastRecords } from "../record-stream.ts";
import type { App } from "../typed-app.ts";
import { decimalOr, seqParam, waitQuery } from "../schemas/fields.ts";
import { eventTypes, logCheck, recordSchema } from "../schemas/history.ts";
import { mappingOf, recordView } from "../views/record.ts";

const LIMIT_MAX = 10_000;
/** Proxies and clients give up on a connection that says nothing for a minute; twice as often is safe. */
const HEARTBEAT_MS = 15_000;
/** Half of the connections that the socket takes: whoever follows the log leaves room for who asks. */
const STREAMS_MAX = 128;

const filters = {
  type: z.string().max(500).optional().describe("types or families, with commas: `lease.granted`, `mapping,lease`"),
  port: z.string().max(64).optional().describe("id of a port: only what is about it"),
};

const listQuery = z.strictObject({
  ...waitQuery,
  ...filters,
  after: seqParam.optional().describe("the first ones after this record; without it the last ones"),
  to: seqParam.optional().describe("none after this record"),
  limit: decimalOr(z.number().int().min(1).max(LIMIT_MAX), 100),
});

export function registerEventRoutes(app: App, deps: ApiDeps): void {
  const { history } = deps;
  const verifying = new Places(1, "verification of the log is under way");
  app.get(
    "/api/v1/events",
    {
      config: { scope: "read" },
      schema: {
        summary: "Records of the log, oldest first",
        querystring: listQuery,
        response: { 200: z.array(recordSchema) },
      },
    },
    async (request) => {
      const { after, limit, to = history.head.seq, type, port } = request.query;
      const fits = recordFilter(type, port);
      const records =
        after === undefined
          ? await lastRecords(history, Math.min(to, history.head.seq), limit, fits)
          : await firstRecords(history, after, to, limit, fits);
      return records.map(recordView);
    },
  );
  app.get(
    "/api/v1/events/verify",
    { config: { scope: "read" }, schema: { summary: "Read the whole log and check it", response: { 200: logCheck } } },
    async () => await verifying.during(() => history.verify()),
  );
  app.get(
    "/api/v1/events/:seq",
    {
      config: { scope: "read" },
      schema: {
        summary: "One record",
        params: z.strictObject({ seq: seqParam }),
        querystring: z.strictObject(waitQuery),
        response: { 200: recordSchema },
      },
    },
    async (request) => {
      const { seq } = request.params;
      const record = await history.record(seq);
      if (record === undefined) throw notFound(`there is no record ${seq}; the log goes to ${history.head.seq}`);
      return recordView(record);
    },
  );
  streamingRoutes(app, deps);
}

function streamingRoutes(app: App, deps: ApiDeps): void {
  const { history } = deps;
  const closing = new AbortController();
  const streams = new Places(STREAMS_MAX, "event streams and exports are open");
  app.addHook("preClose", async () => closing.abort());
  app.get(
    "/api/v1/events/export",
    {
      config: { scope: "read" },
      schema: {
        summary: "Records as NDJSON, one a line, oldest first",
        querystring: z.strictObject({
          ...filters,
          after: decimalOr(z.number().int().nonnegative(), 0),
          to: seqParam.optional(),
        }),
      },
    },
    async (request, reply) => {
      const { after, to = history.head.seq, type, port } = request.query;
      const lines = exportLines(history.records(after, to), recordFilter(type, port));
      reply.raw.once("close", streams.take());
      return reply.type("application/x-ndjson").send(Readable.from(lines));
    },
  );
  app.get(
    "/api/v1/events/stream",
    {
      config: { scope: "read" },
      schema: {
        summary: "Records as they come, as server-sent events; `id` is the seq, Last-Event-ID resumes",
        querystring: z.strictObject({
          ...filters,
          after: seqParam.optional().describe("start after this record; without it with the next one"),
        }),
        headers: z.looseObject({
          "last-event-id": z
            .string()
            .regex(/^\d{1,15}$/)
            .optional(),
        }),
      },
    },
    async (request, reply) => {
      const last = request.headers["last-event-id"];
      const head = history.head.seq;
      const after = last === undefined ? (request.query.after ?? head) : Number(last);
      if (after > head) {
        const message = `the log ends at ${head}, before ${after}: this is not the log that was followed before`;
        throw new RequestProblem({ code: "LOG_REVISION_CONFLICT", message });
      }
      const fits = recordFilter(request.query.type, request.query.port);
      reply.raw.once("close", streams.take());
      const signal = AbortSignal.any([closing.signal, closedSignal(reply.raw)]);
      const events = serverSentEvents(followRecords(deps, after, signal, HEARTBEAT_MS), fits);
      reply.header("x-accel-buffering", "no");
      return reply.type("text/event-stream").send(Readable.from(events));
    },
  );
}

async function* serverSentEvents(
  records: AsyncIterable<PortreeveRecord | "idle">,
  fits: (record: PortreeveRecord) => boolean,
): AsyncGenerator<string> {
  // A first line at once: the reader knows that it is connected.
  yield "retry: 2000\n\n";
  for await (const record of records) {
    if (record === "idle") yield ": nothing new\n\n";
    else if (fits(record)) yield `id: ${record.seq}\ndata: ${JSON.stringify(recordView(record))}\n\n`;
  }
}

async function* exportLines(
  records: AsyncIterable<PortreeveRecord>,
  fits: (record: PortreeveRecord) => boolean,
): AsyncGenerator<string> {
  for await (const record of records) if (fits(record)) yield `${JSON.stringify(recordView(record))}\n`;
}

/** Ends a stream that waits for the next record when its reader is gone. */
function closedSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return gone.signal;
}

function recordFilter(types: string | undefined, port: string | undefined): (record: PortreeveRecord) => boolean {
  const wanted = types?.split(",") ?? [];
  const families = [...new Set(eventTypes.map((type) => type.split(".")[0] as string))];
  for (const name of wanted) {
    const known: string[] = [...eventTypes, ...families];
    if (known.includes(name)) continue;
    const near = nearestWord(name, known);
    throw invalid(`there is no event type ${name}${near === null ? "" : `; did you mean ${near}?`}`);
  }
  return (record) => {
    const { type } = record.event;
    if (wanted.length > 0 && !wanted.some((name) => type === name || type.startsWith(`${name}.`))) return false;
    return port === undefined || mappingOf(record) === port;
  };
}
