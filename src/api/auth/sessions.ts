import { createHash, randomBytes } from "node:crypto";

const TOKEN_BYTES = 32;
const IDLE_MAX_MS = 30 * 60_000;
const LIFE_MAX_MS = 12 * 3_600_000;
/** One admin has a few devices; the one not used for longest makes room. */
const SESSIONS_MAX = 64;
const AGENT_LENGTH_MAX = 128;

/** A browser that signed in. In memory only: a restart ends them all. */
export interface Session {
  readonly id: string;
  readonly address: string;
  readonly userAgent: string;
  readonly createdAt: number;
  lastSeenAt: number;
  readonly ended: AbortSignal;
}

interface Kept extends Session {
  readonly abort: AbortController;
}

/** What a session's cookie holds is kept as a hash: a memory dump signs nobody in. */
export class Sessions {
  readonly #now: () => number;
  /** Hash of the cookie's value → session. */
  readonly #sessions = new Map<string, Kept>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A new session, and the value of its cookie. */
  open(address: string, userAgent: string): { readonly session: Session; readonly token: string } {
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const now = this.#now();
    const abort = new AbortController();
    const session: Kept = {
      id: randomBytes(6).toString("hex"),
      address,
      userAgent: userAgent.slice(0, AGENT_LENGTH_MAX),
      createdAt: now,
      lastSeenAt: now,
      ended: abort.signal,
      abort,
    };
    this.#sessions.set(hashOf(token), session);
    if (this.#sessions.size > SESSIONS_MAX) this.#endOldest();
    return { session, token };
  }

  /** The session of a cookie, which is now in use; undefined if it has ended or never was. */
  use(token: string): Session | undefined {
    const session = this.#sessions.get(hashOf(token));
    if (session === undefined || this.#isOver(session)) return undefined;
    session.lastSeenAt = this.#now();
    return session;
  }

  /** Last used first. */
  list(): readonly Session[] {
    this.sweep();
    return [...this.#sessions.values()].sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }

  /** When a session ends if it is not used again. */
  endOf({ createdAt, lastSeenAt }: Session): number {
    return Math.min(lastSeenAt + IDLE_MAX_MS, createdAt + LIFE_MAX_MS);
  }

  end(id: string): boolean {
    return this.#endWhere((session) => session.id === id) > 0;
  }

  endAll(except: string | null = null): number {
    return this.#endWhere((session) => session.id !== except);
  }

  /** Ends what has run out, and with it what it has open. */
  sweep(): void {
    this.#endWhere((session) => this.#isOver(session));
  }

  #isOver(session: Session): boolean {
    return this.endOf(session) <= this.#now();
  }

  #endWhere(fits: (session: Session) => boolean): number {
    const ending = [...this.#sessions].filter(([, session]) => fits(session));
    for (const [key, session] of ending) {
      this.#sessions.delete(key);
      session.abort.abort();
    }
    return ending.length;
  }

  #endOldest(): void {
    const oldest = this.list().at(-1);
    if (oldest !== undefined) this.end(oldest.id);
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
