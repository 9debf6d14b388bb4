import type { DeclaredDevice, DeclaredSubnet, Declaration } from "../../events/declaration.ts";
import { event } from "../../events/index.ts";
import { firstHost, parseIpv4Prefix, prefixText } from "../../lib/ip.ts";
import { deviceNamed } from "../device.ts";
import type { State, Subnet } from "../state.ts";
import { subnetNamed } from "../subnet.ts";
import type { CommandEnvelope, Decision } from "./command.ts";
import { putDevices } from "./declared-devices.ts";
import { putPorts, releaseMoved } from "./declared-ports.ts";
import { putRecords } from "./declared-records.ts";
import { prune } from "./declared-removals.ts";
import { Draft, foreign } from "./draft.ts";
import { decideSubnetAdd, decideSubnetEdit, type KnownRoute } from "./subnet.ts";

/** Sealed already, as every command has them. */
export interface SealedKeys {
  readonly publicKey: string;
  readonly privateKeySecret: string | null;
  readonly presharedKeySecret: string | null;
}

export interface DeclarationCommand {
  readonly type: "declaration.apply";
  readonly declaration: Declaration;
  /** By name: of the devices that `devicesWithoutKeys` names. */
  readonly keys: ReadonlyMap<string, SealedKeys>;
  /** The gateway goes on with this key, where its devices come from another gateway. */
  readonly gatewayKey: { readonly publicKey: string; readonly privateKeySecret: string } | null;
  /** What bears the declaration's name and is not in it any more goes. */
  readonly prune: boolean;
  /** What the kernel routes now. */
  readonly routes: readonly KnownRoute[];
}

export type Applied = CommandEnvelope & DeclarationCommand;

/** Devices of a declaration that need keys to become what it says, in its order. */
export function devicesWithoutKeys(declaration: Declaration, state: State): DeclaredDevice[] {
  return declaration.devices.filter((declared) => {
    const device = deviceNamed(state, declared.name);
    if (declared.subnet === null) return false;
    return device === undefined || (declared.publicKey !== null && declared.publicKey !== device.publicKey);
  });
}

/**
 * All of a declaration in one commit or, if anything of it cannot be, nothing, with everything named that stands in the
 * way. First goes what frees names, addresses and ports; then what is there is edited; then the rest is added.
 */
export function decideDeclarationApply(command: Applied, state: State): Decision {
  const draft = new Draft(command, state);
  const { declaration } = command;
  takeGatewayKey(command, draft);
  if (command.prune) prune(declaration, draft);
  releaseMoved(declaration, draft);
  for (const subnet of declaration.subnets) putSubnet(subnet, command, draft);
  putDevices(command, draft);
  for (const subnet of declaration.subnets) putResolver(subnet, draft);
  putPorts(declaration, draft);
  putRecords(declaration, draft);
  return draft.decision();
}

function takeGatewayKey({ gatewayKey }: Applied, draft: Draft): void {
  const { wireguard, tunnelled } = draft.state;
  if (gatewayKey === null || wireguard?.publicKey === gatewayKey.publicKey) return;
  if (tunnelled === 0) return draft.log([event("wireguard.keyed", gatewayKey)]);
  const message = `there are ${tunnelled} devices that know the gateway by the key it has; remove them first, or leave its key as it is`;
  draft.refuse("the gateway's key", { code: "CONFLICT", message });
}

function putSubnet(declared: DeclaredSubnet, { declaration, routes }: Applied, draft: Draft): void {
  const where = `subnet ${declared.name}`;
  const { name, wan, ipv6Prefix, prefix, dns, zone } = declared;
  const present = subnetNamed(draft.state, name);
  // Its devices are not there yet.
  const early = dns.mode === "device" ? undefined : dns;
  if (present === undefined) {
    draft.do(where, (envelope, state) =>
      decideSubnetAdd(
        {
          ...envelope,
          type: "subnet.add",
          name,
          prefix,
          wan,
          ipv6Prefix,
          dns: early ?? { mode: "system" },
          zone,
          routes,
          managedBy: declaration.name,
        },
        state,
      ),
    );
    return;
  }
  const not = foreign(present, declaration) ?? otherPrefix(present, prefix);
  if (not !== null) return draft.refuse(where, { code: "CONFLICT", message: not });
  const { id } = present;
  draft.do(where, (envelope, state) =>
    decideSubnetEdit(
      { ...envelope, type: "subnet.edit", id, name, wan, ipv6Prefix, zone, routes, ...(early && { dns: early }) },
      state,
    ),
  );
}

function otherPrefix(subnet: Subnet, declared: string | null): string | null {
  const [wanted, has] = [declared === null ? null : parseIpv4Prefix(declared), parseIpv4Prefix(subnet.prefix)];
  if (declared === null || has === null) return null;
  if (wanted !== null && wanted.length === has.length && firstHost(wanted).address === has.address) return null;
  return `the prefix of a subnet can't change from ${prefixText(has)} to ${declared}; give the new one another name`;
}

/** Once its devices are there one of them can answer its queries. */
function putResolver({ name, dns }: DeclaredSubnet, draft: Draft): void {
  const subnet = subnetNamed(draft.state, name);
  if (dns.mode !== "device" || subnet === undefined || draft.failed.has(`subnet ${name}`)) return;
  if (draft.failed.has(`device ${dns.device}`)) return;
  const device = deviceNamed(draft.state, dns.device);
  draft.do(`subnet ${name}`, (envelope, state) =>
    decideSubnetEdit(
      { ...envelope, type: "subnet.edit", id: subnet.id, dns: { mode: "device", device: device?.id ?? dns.device } },
      state,
    ),
  );
}
