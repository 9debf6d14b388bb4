import swagger from "@fastify/swagger";
import fastify, { type FastifyReply } from "fastify";
import {
  hasZodFastifySchemaValidationErrors,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { PortreeveError } from "../lib/errors.ts";
import { type Door, guardDoor } from "./access.ts";
import type { ApiDeps } from "./deps.ts";
import { docsPage, docsStyle } from "./docs-page.ts";
import { Mutations } from "./mutation.ts";
import { describeApi, describeRoute } from "./openapi.ts";
import { invalid, notFound, RequestProblem } from "./problem.ts";
import { registerAccountRoutes } from "./routes/account-routes.ts";
import { registerChangeRoutes } from "./routes/change-routes.ts";
import { registerConfigRoutes } from "./routes/config-link-routes.ts";
import { registerDeclarationRoutes } from "./routes/declaration-routes.ts";
import { registerDeviceRoutes } from "./routes/device-routes.ts";
import { registerDnsRoutes } from "./routes/dns-routes.ts";
import { registerDoctorRoutes } from "./routes/doctor-routes.ts";
import { registerEventRoutes } from "./routes/event-routes.ts";
import { registerHealthRoutes } from "./routes/health-routes.ts";
import { registerPortRoutes } from "./routes/port-routes.ts";
import { registerReconcilerRoutes } from "./routes/reconciler-routes.ts";
import { registerRequestRoutes } from "./routes/request-routes.ts";
import { registerRouteRoutes } from "./routes/route-routes.ts";
import { registerSessionRoutes } from "./routes/session-routes.ts";
import { registerSnapshotRoutes } from "./routes/snapshot-routes.ts";
import { registerStateRoutes } from "./routes/state-routes.ts";
import { registerSubnetRoutes } from "./routes/subnet-routes.ts";
import { registerWhyRoutes } from "./routes/why-routes.ts";
import { waitForSeq } from "./settle.ts";
import type { App } from "./typed-app.ts";
import { UnloggedActs } from "./unlogged-acts.ts";

const BODY_MAX_BYTES = 64 * 1024;

/** Pages are ours alone: no script or style but from here, in nobody's frame, and no form goes elsewhere. */
const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy":
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};
/** A year (RFC 6797); browsers leave addresses out of it. */
const TLS_HEADERS = { "strict-transport-security": "max-age=31536000" };

/** fastify loads compilers of JSON schema unless it is given some, 35 ms of a start; ours are of zod's schemas. */
function notOurs(): never {
  throw new Error("every schema of a route is zod's");
}

/** The API without a listener: what `openApi` listens with and tests inject into. */
export async function createApp(deps: ApiDeps, door: Door): Promise<App> {
  const app = fastify({
    bodyLimit: BODY_MAX_BYTES,
    logger: false,
    routerOptions: { maxParamLength: 128 },
    // A key twice, or a prototype's, is a mistake or an attack: say so instead of ignoring it.
    onProtoPoisoning: "error",
    onConstructorPoisoning: "error",
    schemaController: { compilersFactory: { buildValidator: notOurs, buildSerializer: notOurs } },
    // A path that is no URL never gets as far as the error handler.
    frameworkErrors: (error, _request, reply) => void sendProblem(reply as unknown as FastifyReply, asProblem(error)),
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  answerErrors(app, deps);
  guardDoor(app, door);
  app.addHook("onSend", async (_request, reply) => {
    reply.headers(door.secure ? { ...HEADERS, ...TLS_HEADERS } : HEADERS);
    // Lets a reader join a list and the stream without a gap.
    if (!reply.hasHeader("portreeve-seq")) reply.header("portreeve-seq", deps.controller.state.seq);
  });
  app.addHook("preHandler", async (request) => {
    const { wait } = (request.query ?? {}) as { wait?: unknown };
    if (request.method === "GET" && typeof wait === "number") await waitForSeq(deps.controller, wait);
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Portreeve", version: deps.info.version, description: "Control of a Portreeve gateway" },
      components: {
        securitySchemes: {
          token: { type: "http", scheme: "bearer" },
          session: { type: "apiKey", in: "cookie", name: "__Host-portreeve" },
        },
      },
    },
    transform: describeRoute,
    transformObject: describeApi,
  });
  const acts = new UnloggedActs(deps.controller);
  const mutations = new Mutations(deps);
  app.after(() => {
    registerHealthRoutes(app, deps);
    registerPortRoutes(app, deps, mutations);
    registerRouteRoutes(app, deps, mutations);
    registerAccountRoutes(app, deps, mutations, door);
    registerSessionRoutes(app, door);
    registerSubnetRoutes(app, deps, mutations);
    registerDeviceRoutes(app, deps, mutations);
    registerDnsRoutes(app, deps, mutations);
    registerConfigRoutes(app, deps, mutations, door);
    registerDeclarationRoutes(app, deps, mutations);
    registerRequestRoutes(app, deps);
    registerEventRoutes(app, deps);
    registerChangeRoutes(app, deps, mutations);
    registerStateRoutes(app, deps);
    registerReconcilerRoutes(app, deps, mutations, acts);
    registerWhyRoutes(app, deps);
    registerSnapshotRoutes(app, deps, acts);
    registerDoctorRoutes(app, deps);
    // Anyone on this machine may ask for these: they are made once.
    let page: string | null = null;
    app.get("/openapi.json", { config: { scope: "open" }, schema: { hide: true } }, async () => app.swagger());
    app.get("/docs.css", { config: { scope: "open" }, schema: { hide: true } }, async (_request, reply) =>
      reply.type("text/css; charset=utf-8").send(docsStyle),
    );
    app.get("/docs", { config: { scope: "open" }, schema: { hide: true } }, async (_request, reply) => {
      page ??= docsPage(app.swagger());
      return reply.type("text/html; charset=utf-8").send(page);
    });
  });
  await app.ready();
  return app;
}

function answerErrors(app: App, deps: ApiDeps): void {
  app.setErrorHandler((error, request, reply) => {
    const fault = asProblem(error);
    const { problem } = fault;
    if (problem.status >= 500 && !(error instanceof RequestProblem)) {
      deps.log.error({ err: error, method: request.method, path: request.routeOptions.url }, "request failed");
    }
    return sendProblem(reply, fault);
  });
  app.setNotFoundHandler((request) => {
    throw notFound(`there is no ${request.method} ${request.url.split("?", 1)[0]}; /docs lists what there is`);
  });
}

function sendProblem(reply: FastifyReply, { problem }: RequestProblem): FastifyReply {
  if (problem.retryAfter !== undefined) reply.header("retry-after", problem.retryAfter);
  return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
}

function asProblem(error: unknown): RequestProblem {
  if (error instanceof RequestProblem) return error;
  if (error instanceof PortreeveError) return new RequestProblem({ code: error.code, message: error.message });
  if (hasZodFastifySchemaValidationErrors(error)) {
    const faults = error.validation.map((each) => {
      const where = [error.validationContext, each.instancePath.slice(1)].filter((part) => part).join("/");
      return `${where}: ${each.message}`;
    });
    return invalid(faults.join("; "));
  }
  const { statusCode, message } = error as { statusCode?: number; message: string };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new RequestProblem({ code: "INVALID_REQUEST", message }, statusCode);
  }
  const bug = "this is a bug in Portreeve; its log says more";
  return new RequestProblem({ code: "INTERNAL", message: bug });
}
