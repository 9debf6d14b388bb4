import { readRoutes } from "../adapters/kernel/links.ts";
import { generateKeyPair } from "../adapters/wireguard/keys.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { SecretStore } from "../events/secrets.ts";
import { PortreeveError } from "../lib/errors.ts";

/** What the first subnet is called until somebody renames it. */
const FIRST_SUBNET = "home";

/** At the first start with WireGuard: a key of our own, and a subnet to put devices on. Nothing of it is in the kernel yet. */
export async function prepareWireguard(controller: ControllerPort, secrets: SecretStore): Promise<void> {
  const { settings, wireguard, subnets } = controller.state;
  if (settings.wireguard === null || wireguard !== null) return;
  const { publicKey, privateKey } = generateKeyPair();
  const privateKeySecret = await secrets.put("wireguard-key", privateKey);
  const by = { source: "controller", requestId: `first-wireguard-${process.pid}` };
  const keyed = await controller.submit({ type: "wireguard.key", publicKey, privateKeySecret, ...by });
  if (!keyed.ok) throw new PortreeveError(keyed.refusal.code, keyed.refusal.message, "fatal");
  if (Object.keys(subnets).length > 0) return;
  const routes = await readRoutes();
  const dns = { mode: "system" } as const;
  // All of 10.59.0.0/16 may be in use: then there is no first subnet, and `subnet add` names one.
  await controller.submit({
    type: "subnet.add",
    name: FIRST_SUBNET,
    prefix: null,
    wan: null,
    ipv6Prefix: null,
    dns,
    routes,
    ...by,
  });
}
