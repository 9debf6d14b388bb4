import { randomUUID, X509Certificate } from "node:crypto";
import { hostname } from "node:os";
import { Secret } from "../../events/secret.ts";
import { PortreeveError } from "../../lib/errors.ts";
import { withSecret } from "../sealing.ts";
import type { ApiDeps } from "../deps.ts";
import type { ServerIdentity, Shown } from "./identity.ts";

const DAY_MS = 86_400_000;
/** A third of a leaf's life: a machine that is asleep for weeks still wakes with a good one. */
const RENEWED_BEFORE_MS = 30 * DAY_MS;
/** An authority must outlive what it signs. */
const AUTHORITY_LEFT_MS = 180 * DAY_MS;

type Deps = Pick<ApiDeps, "controller" | "secrets" | "wallClock" | "log">;

/**
 * An authority of our own, whose certificate people trust once. Its key is sealed; the leaf's key is made anew at each
 * start and is never on a disk.
 */
export async function ownAuthority(deps: Deps, names: () => readonly string[]): Promise<ServerIdentity> {
  // Loaded only where it is used: parsing it costs as much as the rest of the start.
  const { keyFromPem, makeLeaf } = await import("./certificate.ts");
  const { certificate, secretId } = (await usable(deps)) ?? (await create(deps));
  const issuer = { certificate, key: keyFromPem((await deps.secrets.open(secretId)).expose()) };
  let current = issue();
  function issue(): Shown & { readonly names: string; readonly until: number } {
    const wanted = names();
    const leaf = makeLeaf(issuer, wanted, deps.wallClock());
    const until = Date.parse(new X509Certificate(leaf.certificate).validTo);
    const key = leaf.key.export({ type: "pkcs8", format: "pem" }) as string;
    return { cert: leaf.certificate, key, names: wanted.join(), until };
  }
  return {
    authority: { certificate, fingerprint: new X509Certificate(certificate).fingerprint256 },
    get shown() {
      return current;
    },
    async renew() {
      if (names().join() === current.names && current.until - deps.wallClock() > RENEWED_BEFORE_MS) return null;
      current = issue();
      return current;
    },
  };
}

type Kept = NonNullable<ApiDeps["controller"]["state"]["access"]["authority"]>;

async function usable({ controller, wallClock }: Deps): Promise<Kept | null> {
  const { authority } = controller.state.access;
  if (authority === null) return null;
  const until = Date.parse(new X509Certificate(authority.certificate).validTo);
  return until - wallClock() > AUTHORITY_LEFT_MS ? authority : null;
}

async function create(deps: Deps): Promise<Kept> {
  const { makeAuthority } = await import("./certificate.ts");
  const { certificate, key } = makeAuthority(`Portreeve ${hostname()}`, deps.wallClock());
  const pem = new Secret(key.export({ type: "pkcs8", format: "pem" }));
  return await withSecret(deps, "ca-key", pem, async (secretId) => {
    const command = { type: "authority.create", certificate, secretId } as const;
    const outcome = await deps.controller.submit({ ...command, source: "controller", requestId: randomUUID() });
    if (!outcome.ok) throw new PortreeveError(outcome.refusal.code, outcome.refusal.message, "transient");
    return { certificate, secretId };
  });
}
