import type { FastifyReply } from "fastify";
import type { Declaration } from "../events/declaration.ts";
import type { Secret } from "../events/secret.ts";
import { tableRows } from "../lib/table.ts";
import { devicesWithoutKeys, type DeclarationCommand } from "../reducers/decide/declaration.ts";
import type { ApiDeps, DeviceKeys, KeyWish } from "./deps.ts";
import type { MutationRequest, Mutations } from "./mutation.ts";
import type { PlanDocument, ResultDocument } from "./schemas/plan.ts";

export type GivenKeys = Required<Omit<KeyWish, "publicKey">>;

export interface WantedDeclaration {
  readonly declaration: Declaration;
  readonly prune: boolean;
  /** Of devices that bring theirs, by name. */
  readonly keys: ReadonlyMap<string, GivenKeys>;
  /** What the gateway goes on with; null: the key it has. */
  readonly gatewayKey: Secret | null;
}

/** Keys for all of its devices are sealed before one command decides it; those that come to nothing are erased again. */
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
    ? wanting.map(({ publicKey }, index) => unmadeKeys(publicKey, index))
    : await deps.tunnel.sealKeys(wanting.map(({ name, publicKey }) => ({ publicKey, ...given.get(name) })));
  const keys = new Map(wanting.map(({ name }, index) => [name, made[index] as DeviceKeys]));
  const gatewayKey = ownKey === null ? null : await sealGatewayKey(deps, ownKey, dry);
  try {
    const command = { type: "declaration.apply", declaration, prune, keys, routes, gatewayKey } as const;
    return await mutations.run(request, reply, command, { secretBody: given.size > 0 || gatewayKey !== null });
  } finally {
    if (!dry) await discardUnused(deps, made, gatewayKey);
  }
}

const UNMADE = `s${"0".repeat(32)}`;

/** A plan needs keys to speak of, one for each device, and none that anybody could use. */
function unmadeKeys(publicKey: string | null, index: number): DeviceKeys {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(index + 1);
  const privateKeySecret = publicKey === null ? UNMADE : null;
  return { publicKey: publicKey ?? bytes.toString("base64"), privateKeySecret, presharedKeySecret: UNMADE };
}

/** The key that it has already is not sealed a second time. */
async function sealGatewayKey(
  { controller, secrets, tunnel }: ApiDeps,
  key: Secret,
  dry: boolean,
): Promise<NonNullable<DeclarationCommand["gatewayKey"]>> {
  const publicKey = tunnel.publicKeyOf(key);
  const { wireguard } = controller.state;
  if (dry || wireguard?.publicKey === publicKey) {
    return { publicKey, privateKeySecret: wireguard?.privateKeySecret ?? UNMADE };
  }
  return { publicKey, privateKeySecret: await secrets.put("wireguard-key", key) };
}

async function discardUnused(
  { controller, secrets, tunnel }: ApiDeps,
  made: readonly DeviceKeys[],
  gatewayKey: DeclarationCommand["gatewayKey"],
): Promise<void> {
  if (gatewayKey !== null && controller.state.wireguard?.privateKeySecret !== gatewayKey.privateKeySecret) {
    await secrets.erase(gatewayKey.privateKeySecret);
  }
  const named = new Set([...tableRows(controller.state.devices)].map((device) => device.presharedKeySecret));
  for (const keys of made) if (!named.has(keys.presharedKeySecret)) await tunnel.discardKeys(keys);
}
