import { z } from "zod";
import { Collection } from "./collection.ts";
import { address, key, name, readJson } from "./json.ts";
import type { Imported, PublicKeyOf } from "./model.ts";

/** wg-easy up to version 14: wg0.json in its volume. Its network is a /24 (WG_DEFAULT_ADDRESS 10.8.0.x). */
const client = z.looseObject({
  name,
  address,
  publicKey: key,
  privateKey: key.nullish(),
  preSharedKey: key.nullish(),
  enabled: z.boolean().default(true),
  expiredAt: z.string().max(64).nullish(),
});
const file = z.looseObject({
  server: z.looseObject({ privateKey: key, address }),
  clients: z.record(z.string(), client).default({}),
});

export function parseWgEasy(text: string, publicKeyOf: PublicKeyOf): Imported {
  const { server, clients } = readJson(text, file);
  const found = new Collection("wg-easy");
  found.gatewayKey = server.privateKey;
  const subnet = found.subnet("wg-easy", { prefix: `${server.address}/24`, wan: null, dns: { mode: "system" } });
  for (const each of Object.values(clients)) {
    const { publicKey, privateKey = null, preSharedKey: presharedKey = null } = each;
    if (!each.enabled) {
      found.note(`${each.name.slice(0, 63)} is disabled there and is not imported`);
      continue;
    }
    const fits = privateKey === null || publicKeyOf(privateKey) === publicKey;
    const rights = { ports: "off", dns: "off", wan: null, profile: "full" } as const;
    const device = found.device(
      each.name,
      { kind: "client", subnet, address: each.address, publicKey, ...rights },
      { privateKey: fits ? privateKey : null, presharedKey },
    );
    if (!fits) found.note(`the private key of ${device} is not of its public key and is not kept`);
    if (each.expiredAt)
      found.note(`${device} had an end, which is not imported: portreeve device edit ${device} --for 30d`);
  }
  found.note("clients know the port that wg-easy listened on (WG_PORT, 51820): wireguard.listenPort must be the same");
  found.note("not imported: its password, and hooks in WG_POST_UP and the like");
  return found.end();
}
