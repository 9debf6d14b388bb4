import type { DeclaredRecord } from "../../events/declaration.ts";
import { Secret } from "../../events/secret.ts";
import { nameText } from "../../lib/domain-name.ts";
import { applyDeclaration, type GivenKeys } from "../declaration.ts";
import type { ApiDeps } from "../deps.ts";
import type { Mutations } from "../mutation.ts";
import { invalid } from "../problem.ts";
import { declarationApply } from "../schemas/declaration.ts";
import { mutation } from "../schemas/plan.ts";
import type { App } from "../typed-app.ts";

/** As many devices as there may be, each with all that can be said of it. */
const BODY_MAX_BYTES = 8 << 20;

const secretOf = (text: string | null): Secret | null => (text === null ? null : new Secret(text));

/** In the form that records are kept in. */
function canonicalRecord({ names }: Pick<ApiDeps, "names">, record: DeclaredRecord): DeclaredRecord {
  const { type, value } = names.canonical(record.type, record.value);
  return { ...record, name: nameText(record.name) ?? record.name, type, value };
}

export function registerDeclarationRoutes(app: App, deps: ApiDeps, mutations: Mutations): void {
  app.post(
    "/api/v1/declaration",
    {
      bodyLimit: BODY_MAX_BYTES,
      config: { scope: "admin" },
      schema: {
        ...mutation,
        summary: "Make subnets, devices, forwards and records what a declaration says, all of it or nothing",
        body: declarationApply,
      },
    },
    async (request, reply) => {
      const { declaration, prune, keys: given, gatewayKey } = request.body;
      const keys = new Map<string, GivenKeys>();
      for (const [name, { privateKey, presharedKey }] of Object.entries(given)) {
        keys.set(name, { privateKey: secretOf(privateKey), presharedKey: secretOf(presharedKey) });
      }
      for (const { name, publicKey } of declaration.devices) {
        const privateKey = keys.get(name)?.privateKey ?? null;
        if (privateKey !== null && deps.tunnel.publicKeyOf(privateKey) !== publicKey)
          throw invalid(`device ${name}: its public key is not that of the private key that comes with it`);
      }
      const records = declaration.records.map((record) => canonicalRecord(deps, record));
      const wanted = { declaration: { ...declaration, records }, prune, keys, gatewayKey: secretOf(gatewayKey) };
      return await applyDeclaration({ deps, mutations }, request, reply, wanted);
    },
  );
}
