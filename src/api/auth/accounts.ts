import { randomUUID } from "node:crypto";
import { Secret } from "../../events/secret.ts";
import type { Command } from "../../reducers/decide/command.ts";
import type { ApiDeps } from "../deps.ts";
import { forbidden, RequestProblem, unauthenticated } from "../problem.ts";
import type { Actor } from "./actor.ts";
import { BearerTokens } from "./bearer-tokens.ts";
import { neighbourhood } from "./client-address.ts";
import { sameSecret } from "./first-token.ts";
import { LoginLimits, type Try } from "./login-limits.ts";
import { linkHash, LinkVisits, newLink } from "./one-time-links.ts";
import { PasswordHashes, type ScryptCost } from "./password-hash.ts";
import { withSecret } from "../sealing.ts";
import { recorded, type Visitor } from "./recorded.ts";
import { SecondFactor } from "./second-factor.ts";
import { type Session, Sessions } from "./sessions.ts";

const LINK_LIFE_MS = 24 * 3_600_000;

/** One text for all that can be wrong: nothing tells which part was right. */
const WRONG = "the password or the code is wrong";

export type AccountDeps = Pick<ApiDeps, "controller" | "clock" | "wallClock" | "secrets" | "requestLog" | "log">;

export interface SignedIn {
  readonly session: Session;
  /** For the cookie. */
  readonly token: string;
}

/** The one account there is, the administrator's: its password, second factor, sessions, tokens and the link to begin with. */
export class Accounts {
  readonly sessions: Sessions;
  readonly tokens: BearerTokens;
  readonly secondFactor: SecondFactor;
  readonly hashes: PasswordHashes;
  readonly links: LinkVisits;
  readonly #deps: AccountDeps;
  readonly #limits: LoginLimits;

  constructor(deps: AccountDeps, cost?: ScryptCost) {
    const now = () => deps.clock.now();
    this.#deps = deps;
    this.sessions = new Sessions(now);
    this.tokens = new BearerTokens(() => deps.controller.state.access, deps.secrets, now);
    this.secondFactor = new SecondFactor(deps);
    this.hashes = new PasswordHashes(cost);
    this.links = new LinkVisits(deps);
    this.#limits = new LoginLimits(now);
  }

  /** Before that, the token in the data directory counts. */
  get exist(): boolean {
    return this.#deps.controller.state.access.password !== null;
  }

  /** Ends what has run out. */
  sweep(): void {
    this.sessions.sweep();
    this.tokens.sweep();
  }

  async signIn(visitor: Visitor, password: string, code: string | null): Promise<SignedIn> {
    return await recorded(this.#deps, visitor, { request: "sign in", done: "signed in" }, async () => {
      await this.#tried(neighbourhood(visitor.address), async (fresh) => {
        const { password: before } = this.#deps.controller.state.access;
        if (!(await this.#fits(password, fresh)) || !(await this.secondFactor.accepts(code))) return false;
        // A new one has ended all sessions: none begins by the old one after that.
        return this.#deps.controller.state.access.password?.secretId === before?.secretId;
      });
      return this.sessions.open(visitor.address, visitor.userAgent);
    });
  }

  /** A link to set the password by. Its token is in the answer only; what is kept is a hash. */
  async issueLink(source: string): Promise<{ readonly token: string; readonly expiresAt: number }> {
    const { token, hash } = newLink();
    const expiresAt = this.#deps.clock.now() + LINK_LIFE_MS;
    await withSecret(this.#deps, "sign-in-link", new Secret(hash), async (secretId) => {
      await this.#submit({ type: "sign-in-link.issue", secretId, expiresAt }, source);
    });
    return { token, expiresAt };
  }

  /** Sets the password. Null where a code has to be shown as well: then the visitor signs in with both. */
  async redeemLink(visitor: Visitor, token: string, password: string): Promise<SignedIn | null> {
    const what = { request: "set the password by link", done: "signed in" };
    const { session } = await this.links.during(visitor, what, async () => {
      const { link } = this.#deps.controller.state.access;
      const kept = link === null ? "" : Buffer.from((await this.#deps.secrets.open(link.secretId)).expose()).toString();
      // What is slow, hashing, only starts for who has the link.
      if (!sameSecret(linkHash(token), kept)) return null;
      const hash = await this.hashes.make(password);
      await withSecret(this.#deps, "password", hash, async (secretId) => {
        const basis = link?.secretId ?? null;
        const command = { type: "password.set", secretId, reason: "link", basis } as const;
        await this.#submit(command, `api:link:${visitor.address}`);
      });
      this.sessions.endAll();
      const codeToo = this.#deps.controller.state.access.totp !== null;
      return { session: codeToo ? null : this.sessions.open(visitor.address, visitor.userAgent) };
    });
    return session;
  }

  /**
   * What guards the account itself is changed by a person: by the socket, or in a session with the password again, so
   * that a browser left open is not enough. While there is no password, the token in the data directory will do.
   */
  async confirmPerson(actor: Actor, password: string | null): Promise<void> {
    if (actor.kind === "socket" || (actor.kind === "first-token" && !this.exist)) return;
    if (actor.kind !== "session") throw forbidden("a token can't do this: sign in, or use the Unix socket");
    if (password === null) throw forbidden("send your password as `current` once more");
    await this.#tried(`session ${actor.id}`, (fresh) => this.#fits(password, fresh));
  }

  async #tried(from: string, check: (fresh: boolean) => Promise<boolean>): Promise<void> {
    const attempt: Try = this.#limits.begin(from);
    try {
      if (await check(attempt.fresh)) attempt.succeeded();
      else {
        attempt.failed();
        throw unauthenticated(WRONG);
      }
    } finally {
      attempt.abandoned();
    }
  }

  /** Costs the same without a password. */
  async #fits(password: string, fresh: boolean): Promise<boolean> {
    const { access } = this.#deps.controller.state;
    const { secretId = null } = access.password ?? {};
    const sealed = secretId === null ? null : await this.#deps.secrets.open(secretId);
    const { ok, outdated } = await this.hashes.check(password, sealed, fresh);
    // It may have been changed while it was checked.
    if (!ok || this.#deps.controller.state.access.password?.secretId !== secretId) return false;
    if (outdated) void this.#rehash(password, secretId);
    return true;
  }

  async #rehash(password: string, basis: string): Promise<void> {
    try {
      const hash = await this.hashes.make(password);
      await withSecret(this.#deps, "password", hash, async (secretId) => {
        await this.#submit({ type: "password.set", secretId, reason: "rehashed", basis }, "controller");
      });
    } catch (cause) {
      this.#deps.log.warn({ err: cause }, "the password could not be stored at today's cost");
    }
  }

  async #submit(command: Command, source: string): Promise<void> {
    const outcome = await this.#deps.controller.submit({ ...command, source, requestId: randomUUID() });
    if (!outcome.ok) throw new RequestProblem(outcome.refusal);
  }
}
