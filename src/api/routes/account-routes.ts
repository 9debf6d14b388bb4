import { ownRow } from "../../lib/own-row.ts";
import { hostname } from "node:os";
import { z } from "zod";
import type { State } from "../../reducers/state.ts";
import type { Door } from "../access.ts";
import { newToken } from "../auth/bearer-tokens.ts";
import { linkUrl } from "../auth/one-time-links.ts";
import { SIGN_IN_PAGE } from "../auth/sign-in-page.ts";
import type { ApiDeps } from "../deps.ts";
import type { MutationRequest, Mutations } from "../mutation.ts";
import { invalid } from "../problem.ts";
import {
  type AccountDocument,
  accountSchema,
  enrolmentSchema,
  oneTimeLink,
  passwordBody,
  personBody,
  type TokenDocument,
  tokenBody,
  tokenCreatedSchema,
  tokenSchema,
  totpBody,
} from "../schemas/account.ts";
import { isoTime, isoTimeOrNull } from "../../lib/iso-time.ts";
import { mutationHeaders, mutationQuery, waitQuery } from "../schemas/fields.ts";
import { mutation, planSchema } from "../schemas/plan.ts";
import type { Secret } from "../../events/secret.ts";
import type { Command } from "../../reducers/decide/command.ts";
import { NO_SECRET, sealing, withSecret } from "../sealing.ts";
import type { App } from "../typed-app.ts";

const admin = { scope: "admin" } as const;
/** The kernel has no part in it. */
const LOGGED = { settles: false } as const;
/** What a request says that must not leave a trace in the log, not as a short hash either. */
const SECRET_BODY = { ...LOGGED, secretBody: true } as const;

export function registerAccountRoutes(app: App, deps: ApiDeps, mutations: Mutations, door: Door): void {
  passwordRoutes(app, deps, mutations, door);
  totpRoutes(app, deps, mutations, door);
  tokenRoutes(app, deps, mutations, door);
}

/** Seals, then lets a mutation name what was sealed; a dry run seals nothing. */
async function withSealed<T>(
  deps: ApiDeps,
  request: Pick<MutationRequest, "query">,
  kind: string,
  material: Secret,
  run: (secretId: string) => Promise<T>,
): Promise<T> {
  return request.query.dryRun === "true" ? await run(NO_SECRET) : await withSecret(deps, kind, material, run);
}

function passwordRoutes(app: App, deps: ApiDeps, mutations: Mutations, door: Door): void {
  const { accounts } = door;
  app.get(
    "/api/v1/account",
    {
      config: admin,
      schema: {
        summary: "How people sign in",
        querystring: z.strictObject(waitQuery),
        response: { 200: accountSchema },
      },
    },
    async () => accountView(deps.controller.state, deps.clock.now()),
  );
  app.post(
    "/api/v1/password",
    {
      config: admin,
      schema: { ...mutation, summary: "Set the password; ends all other sessions", body: passwordBody },
    },
    async (request, reply) => {
      const { password, current = null } = request.body;
      await accounts.confirmPerson(request.actor, current);
      const hash = await accounts.hashes.make(password);
      const result = await withSealed(deps, request, "password", hash, (secretId) => {
        const command = { type: "password.set", secretId, reason: "changed", basis: null } as const;
        return mutations.run(request, reply, command, SECRET_BODY);
      });
      if (!("dryRun" in result)) accounts.sessions.endAll(request.actor.id);
      return result;
    },
  );
  app.post(
    "/api/v1/sign-in-link",
    {
      config: { scope: "local" },
      schema: { summary: "A one-time link to set the password by", response: { 201: oneTimeLink } },
    },
    async (request, reply) => {
      if (door.names === null) {
        throw invalid(
          "nothing listens on TCP (api.listen), so no browser can open a link; use `portreeve user password`",
        );
      }
      const { token, expiresAt } = await accounts.issueLink(request.actor.source);
      const url = linkUrl(door.names, SIGN_IN_PAGE, token);
      return reply
        .code(201)
        .send({ url, expiresAt: isoTime(expiresAt), caFingerprint: door.authority?.fingerprint ?? null });
    },
  );
}

function totpRoutes(app: App, deps: ApiDeps, mutations: Mutations, door: Door): void {
  const { accounts } = door;
  app.post(
    "/api/v1/totp/enrolment",
    {
      config: admin,
      schema: {
        summary: "Begin to enrol an authenticator app: the secret to put into it",
        body: personBody.nullish(),
        response: { 200: enrolmentSchema },
      },
    },
    async (request) => {
      await accounts.confirmPerson(request.actor, request.body?.current ?? null);
      return accounts.secondFactor.begin(hostname());
    },
  );
  app.post(
    "/api/v1/totp",
    {
      config: admin,
      schema: { ...mutation, summary: "Ask for codes from now on, once the app has shown one", body: totpBody },
    },
    async (request, reply) => {
      if (request.actor.kind === "token") await accounts.confirmPerson(request.actor, null);
      const secret = accounts.secondFactor.confirm(request.body.code);
      const result = await withSealed(deps, request, "totp", secret, (secretId) =>
        mutations.run(request, reply, { type: "totp.enable", secretId }, SECRET_BODY),
      );
      if (!("dryRun" in result)) accounts.secondFactor.enrolled();
      return result;
    },
  );
  app.delete(
    "/api/v1/totp",
    { config: admin, schema: { ...mutation, summary: "Ask for no codes any more", body: personBody.nullish() } },
    async (request, reply) => {
      await accounts.confirmPerson(request.actor, request.body?.current ?? null);
      return await sealing(deps, [], () => mutations.run(request, reply, { type: "totp.disable" }, SECRET_BODY));
    },
  );
}

function tokenRoutes(app: App, deps: ApiDeps, mutations: Mutations, door: Door): void {
  const { accounts } = door;
  const view = (id: string) => tokenView(deps.controller.state, id, accounts.tokens.lastUsedAt(id));
  app.get(
    "/api/v1/tokens",
    {
      config: admin,
      schema: {
        summary: "Tokens of programs",
        querystring: z.strictObject(waitQuery),
        response: { 200: z.array(tokenSchema) },
      },
    },
    async () =>
      Object.keys(deps.controller.state.access.tokens)
        .sort()
        .flatMap((id) => view(id) ?? []),
  );
  app.post(
    "/api/v1/tokens",
    {
      config: admin,
      schema: {
        summary: "A token for a program; its secret is in this answer only",
        querystring: mutationQuery,
        headers: mutationHeaders,
        body: tokenBody,
        response: { 200: z.union([tokenCreatedSchema, planSchema]), 201: tokenCreatedSchema },
      },
    },
    async (request, reply) => {
      if (request.actor.kind === "token") await accounts.confirmPerson(request.actor, null);
      const { name, scopes, lifetime } = request.body;
      const { id, token, hash } = newToken();
      const expiresAt = lifetime === null ? null : deps.clock.now() + lifetime * 1000;
      return await withSealed(deps, request, "token", hash, async (secretId) => {
        const command: Command = { type: "token.create", id, name, scopes, expiresAt, secretId };
        const result = await mutations.run(request, reply, command, { ...LOGGED, created: true });
        if ("dryRun" in result) return result;
        const made = view(id);
        if (made !== undefined) return { seq: result.seq, token: made, secret: token };
        const before = Object.keys(deps.controller.state.access.tokens)
          .map(view)
          .find((each) => each?.name === name);
        if (before === undefined)
          throw invalid("the token that this request made before was revoked; use a new Idempotency-Key");
        return { seq: result.seq, token: before, secret: null };
      });
    },
  );
  app.delete(
    "/api/v1/tokens/:id",
    {
      config: admin,
      schema: {
        ...mutation,
        summary: "Revoke a token, and end what it has open",
        params: z.strictObject({ id: z.string().max(64) }),
      },
    },
    async (request, reply) => {
      const result = await sealing(deps, [], () =>
        mutations.run(request, reply, { type: "token.revoke", id: request.params.id }, LOGGED),
      );
      accounts.sweep();
      return result;
    },
  );
}

function accountView({ access }: State, now: number): AccountDocument {
  const { password, totp, link } = access;
  return {
    password: password !== null,
    passwordSetAt: isoTimeOrNull(password?.setAt ?? null),
    totp: totp !== null,
    linkExpiresAt: link === null || link.expiresAt <= now ? null : isoTime(link.expiresAt),
  };
}

function tokenView({ access }: State, id: string, lastUsedAt: number | null): TokenDocument | undefined {
  const token = ownRow(access.tokens, id);
  if (token === undefined) return undefined;
  return {
    id,
    name: token.name,
    scopes: [...token.scopes],
    createdAt: isoTime(token.createdAt),
    expiresAt: isoTimeOrNull(token.expiresAt),
    lastUsedAt: isoTimeOrNull(lastUsedAt),
  };
}
