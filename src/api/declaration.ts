import type { FastifyReply } from "fastify";
import type { Declaration } from "../events/declaration.ts";
import { tableRows } from "../lib/table.ts";
import { devicesWithoutKeys, type DeclarationCommand } from "../reducers/decide/declaration.ts";
import type { ApiDeps, DeviceKeys, KeyWish } from "./deps.ts";
import type { MutationRequest, Mutations } from "./mutation.ts";
import type { PlanDocument, ResultDocument } from "./schemas/plan.ts";

export interface WantedDeclaration extends Pick<DeclarationCommand, "gatewayKey" | "prune"> {
  readonly declaration: Declaration;
  /** Of devices that bring theirs, by name. */
  readonly keys: ReadonlyMap<string, Omit<KeyWish, "publicKey">>;
  /** Whether the request holds keys. */
  readonly secretBody: boolean;
}

/** Keys for all of its devices are sealed before one command decides it; those that come to nothing are erased again. */
export async function applyDeclaration(
  { deps, mutations }: { readonly deps: ApiDeps; readonly mutations: Mutations },
  request: MutationRequest,
  reply: FastifyReply,
  { declaration, keys: given, secretBody, ...rest }: WantedDeclaration,
): Promise<ResultDocument | PlanDocument> {
  const wanting = devicesWithoutKeys(declaration, deps.controller.state);
  const routes = await deps.tunnel.routes();
  const dry = request.query.dryRun === "true";
  const made = dry
    ? wanting.map(({ publicKey }, index) => unmadeKeys(publicKey, index))
    : await deps.tunnel.sealKeys(wanting.map(({ name, publicKey }) => ({ publicKey, ...given.get(name) })));
  const keys = new Map(wanting.map(({ name }, index) => [name, made[index] as DeviceKeys]));
  try {
    const command = { type: "declaration.apply", declaration, keys, routes, ...rest } as const;
    return await mutations.run(request, reply, command, { secretBody });
  } finally {
    if (!dry) await discardUnused(deps, made);
  }
}

/** A plan needs keys to speak of, one for each device, and none that anybody could use. */
function unmadeKeys(publicKey: string | null, index: number): DeviceKeys {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(index + 1);
  const presharedKeySecret = `s${"0".repeat(32)}`;
  const privateKeySecret = publicKey === null ? presharedKeySecret : null;
  return { publicKey: publicKey ?? bytes.toString("base64"), privateKeySecret, presharedKeySecret };
}

async function discardUnused({ controller, tunnel }: ApiDeps, made: readonly DeviceKeys[]): Promise<void> {
  const named = new Set([...tableRows(controller.state.devices)].map((device) => device.presharedKeySecret));
  for (const keys of made) if (!named.has(keys.presharedKeySecret)) await tunnel.discardKeys(keys);
}
