import type { FastifyReply } from "fastify";
import type { Declaration } from "../events/declaration.ts";
import type { Secret } from "../events/secret.ts";
import { devicesWithoutKeys, type DeclarationCommand } from "../reducers/decide/declaration.ts";
import type { ApiDeps, DeviceKeys, KeyWish } from "./deps.ts";
import type { MutationRequest, Mutations } from "./mutation.ts";
import type { PlanDocument, ResultDocument } from "./schemas/plan.ts";
import { NO_SECRET, sealing, secretsOf, unmadeKeys } from "./sealing.ts";

export type GivenKeys = Required<Omit<KeyWish, "publicKey">>;

export interface WantedDeclaration {
  readonly declaration: Declaration;
  readonly prune: boolean;
  /** Of devices that bring theirs, by name. */
  readonly keys: ReadonlyMap<string, GivenKeys>;
  /** What the gateway goes on with; null: the key it has. */
  readonly gatewayKey: Secret | null;
}

/** Keys for all of its devices are sealed before one command decides it. */
export async function applyDeclaration(
  { deps, mutations }: { readonly deps: ApiDeps; readonly mutations: Mutations },
  request: MutationRequest,
  reply: FastifyReply,
  { declaration, prune, keys: given, gatewayKey: ownKey }: WantedDeclaration,
): Promise<ResultDocument | PlanDocument> {
  const wanting = devicesWithoutKeys(declaration, deps.controller.state);
  const routes = await deps.tunnel.routes();
  const dry = request.query.dryRun === "true";
  const made = dry
    ? wanting.map(({ publicKey }, index) => unmadeKeys(publicKey, index + 1))
    : await deps.tunnel.sealKeys(wanting.map(({ name, publicKey }) => ({ publicKey, ...given.get(name) })));
  const keys = new Map(wanting.map(({ name }, index) => [name, made[index] as DeviceKeys]));
  const gatewayKey = ownKey === null ? null : await sealGatewayKey(deps, ownKey, dry);
  const named = [...made.flatMap(secretsOf), ...(gatewayKey === null ? [] : [gatewayKey.privateKeySecret])];
  const command = { type: "declaration.apply", declaration, prune, keys, routes, gatewayKey } as const;
  const secretBody = given.size > 0 || gatewayKey !== null;
  return await sealing(
    deps,
    dry ? [] : named,
    async () => await mutations.run(request, reply, command, { secretBody }),
  );
}

/** The key that it has already is not sealed a second time. */
async function sealGatewayKey(
  { controller, secrets, tunnel }: ApiDeps,
  key: Secret,
  dry: boolean,
): Promise<NonNullable<DeclarationCommand["gatewayKey"]>> {
  const publicKey = tunnel.publicKeyOf(key);
  const { wireguard } = controller.state;
  if (wireguard?.publicKey === publicKey) return { publicKey, privateKeySecret: wireguard.privateKeySecret };
  if (dry) return { publicKey, privateKeySecret: NO_SECRET };
  return { publicKey, privateKeySecret: await secrets.put("wireguard-key", key) };
}
