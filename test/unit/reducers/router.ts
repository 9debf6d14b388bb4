import { event } from "../../../src/events/index.ts";
import { tableRows } from "../../../src/lib/table.ts";
import type { Command, Decision } from "../../../src/reducers/decide/command.ts";
import { DEFAULT_SETTINGS, type Device } from "../../../src/reducers/state.ts";
import { NO_DNS, Gateway, mapRequest, WAN_ADDRESS } from "./given.ts";

export const OWN_KEY = keyOf(1);

/** A WireGuard key that no two numbers share. */
export function keyOf(number: number): string {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(number);
  return bytes.toString("base64");
}

export const secretOf = (number: number): string => `s${number.toString(16).padStart(32, "0")}`;

/** A gateway with WireGuard on wg0, two WANs, and the subnet "home" 10.59.7.0/24. */
export class Router extends Gateway {
  #devices = 10;

  constructor() {
    super();
    this.append([
      event("settings.changed", {
        settings: {
          ...DEFAULT_SETTINGS,
          wan: { interfaces: ["wan0", "wan1"], externalAddress: "auto" },
          lan: [{ interface: "lan0", nonce: "strict", devices: "any", ...NO_DNS }],
          wireguard: { interface: "wg0", listenPort: 51820, nonce: "same-host" },
        },
      }),
      event("interface.observed", {
        name: "wan0",
        up: true,
        addresses: [`${WAN_ADDRESS}/24`, "11.22.33.9/24"],
        gateway: null,
      }),
      event("interface.observed", { name: "wan1", up: true, addresses: ["11.22.44.1/24"], gateway: null }),
      event("wireguard.keyed", { publicKey: OWN_KEY, privateKeySecret: secretOf(1) }),
    ]);
    this.subnet("home", "10.59.7.0/24");
  }

  subnet(
    name: string,
    prefix: string | null,
    fields: Partial<Extract<Command, { type: "subnet.add" }>> = {},
  ): Decision {
    const dns = { mode: "system" } as const;
    return this.do({ type: "subnet.add", name, prefix, wan: null, ipv6Prefix: null, dns, routes: [], ...fields });
  }

  idOfSubnet(name: string): string {
    return Object.values(this.state.subnets).find((subnet) => subnet.name === name)?.id ?? "";
  }

  device(name: string, fields: Partial<Extract<Command, { type: "device.add" }>> = {}): Decision {
    this.#devices += 1;
    return this.do({
      type: "device.add",
      name,
      kind: "server",
      subnet: this.idOfSubnet("home"),
      interface: null,
      address: null,
      publicKey: keyOf(this.#devices),
      privateKeySecret: secretOf(this.#devices * 2),
      presharedKeySecret: secretOf(this.#devices * 2 + 1),
      ports: null,
      dns: null,
      wan: null,
      lifetime: null,
      profile: null,
      ...fields,
    });
  }

  find(name: string): Device {
    const device = [...tableRows(this.state.devices)].find((each) => each.name === name);
    if (device === undefined) throw new Error(`no device ${name}`);
    return device;
  }

  edit(name: string, fields: Partial<Extract<Command, { type: "device.edit" }>>): Decision {
    return this.do({ ...fields, type: "device.edit", id: this.find(name).id });
  }

  /** The device asks by PCP from its own address. */
  ask(name: string, fields: Partial<ReturnType<typeof mapRequest>> = {}): Decision {
    const { address } = this.find(name);
    return this.map({ interface: "wg0", device: address, ...fields });
  }
}
