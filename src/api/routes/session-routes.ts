import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Door } from "../access.ts";
import type { SignedIn } from "../auth/accounts.ts";
import { clientAddress } from "../auth/client-address.ts";
import type { Visitor } from "../auth/recorded.ts";
import { clearCookie, sessionCookie, setCookie } from "../auth/session-cookie.ts";
import type { Session } from "../auth/sessions.ts";
import { signInPage, signInScript } from "../auth/sign-in-page.ts";
import { notFound } from "../problem.ts";
import { redeemBody, redeemed, type SessionDocument, sessionSchema, signInBody } from "../schemas/account.ts";
import { isoTime } from "../../lib/iso-time.ts";
import type { App } from "../typed-app.ts";

/** Signing in and out, and who is signed in. Sessions are no events: they end with the process. */
export function registerSessionRoutes(app: App, door: Door): void {
  const { sessions } = door.accounts;
  signingIn(app, door);
  app.get(
    "/api/v1/sessions",
    { config: { scope: "admin" }, schema: { summary: "Who is signed in", response: { 200: z.array(sessionSchema) } } },
    async (request) => sessions.list().map((session) => sessionView(door, session, request.actor.id)),
  );
  app.delete(
    "/api/v1/sessions/:id",
    {
      config: { scope: "admin" },
      schema: {
        summary: "End a session, and what it has open; `current` signs out",
        params: z.strictObject({ id: z.string().max(64) }),
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const mine = request.actor.kind === "session" ? request.actor.id : null;
      const which = id === "current" ? mine : id;
      if (which === null || !sessions.end(which)) {
        throw notFound(`there is no session ${id}; \`portreeve session list\` shows those there are`);
      }
      if (which === mine) reply.header("set-cookie", clearCookie(door.secure));
      return reply.code(204).send(null);
    },
  );
  app.delete(
    "/api/v1/sessions",
    {
      config: { scope: "admin" },
      schema: {
        summary: "End all sessions but the one this is asked by",
        response: { 200: z.strictObject({ ended: z.number().int() }) },
      },
    },
    async (request) => ({ ended: sessions.endAll(request.actor.kind === "session" ? request.actor.id : null) }),
  );
}

function signingIn(app: App, door: Door): void {
  const { accounts } = door;
  app.post(
    "/api/v1/sessions",
    {
      config: { scope: "open" },
      schema: { summary: "Sign in: answers with a session cookie", body: signInBody, response: { 201: sessionSchema } },
    },
    async (request, reply) => {
      const { password, code = null } = request.body;
      const signedIn = await accounts.signIn(visitorOf(request), password, code);
      return reply.code(201).send(begin(door, request, reply, signedIn));
    },
  );
  app.post(
    "/api/v1/sign-in-link/redeem",
    {
      config: { scope: "open" },
      schema: {
        summary: "Set the password by a one-time link, and sign in",
        body: redeemBody,
        response: { 200: redeemed },
      },
    },
    async (request, reply) => {
      const { token, password } = request.body;
      const signedIn = await accounts.redeemLink(visitorOf(request), token, password);
      return { session: signedIn === null ? null : begin(door, request, reply, signedIn) };
    },
  );
  app.get(
    "/api/v1/ca.pem",
    {
      config: { scope: "open" },
      schema: {
        summary: "The certificate authority of this gateway, to be trusted after its fingerprint was compared",
      },
    },
    async (_request, reply) => {
      if (door.authority === null) throw notFound("there is no authority of ours: `api.tls` is not own-ca");
      return reply.type("application/x-pem-file").send(door.authority.certificate);
    },
  );
  const page = { config: { scope: "open" }, schema: { hide: true } } as const;
  app.get("/sign-in", page, async (_request, reply) => reply.type("text/html; charset=utf-8").send(signInPage));
  app.get("/sign-in.js", page, async (_request, reply) => {
    return reply.type("text/javascript; charset=utf-8").send(signInScript);
  });
}

export function visitorOf(request: FastifyRequest): Visitor {
  return { address: clientAddress(request.raw), userAgent: request.headers["user-agent"] ?? "" };
}

/** A session that the browser had goes: its secret may have been seen by whoever could see it then. */
function begin(
  door: Door,
  request: FastifyRequest,
  reply: FastifyReply,
  { session, token }: SignedIn,
): SessionDocument {
  const before = sessionCookie(request.headers.cookie, door.secure);
  const old = before === null ? undefined : door.accounts.sessions.use(before);
  if (old !== undefined) door.accounts.sessions.end(old.id);
  reply.header("set-cookie", setCookie(token, door.secure));
  return sessionView(door, session, session.id);
}

function sessionView({ accounts }: Door, session: Session, current: string | null): SessionDocument {
  const { id, address, userAgent, createdAt, lastSeenAt } = session;
  return {
    id,
    address,
    userAgent,
    createdAt: isoTime(createdAt),
    lastSeenAt: isoTime(lastSeenAt),
    expiresAt: isoTime(accounts.sessions.endOf(session)),
    current: id === current,
  };
}
