import { createHash } from "node:crypto";

/** Who this gateway is to control points: the same after each start (SSDP-14). */
export interface Identity {
  /** UDNs, with `uuid:`, of InternetGatewayDevice, WANDevice and WANConnectionDevice. */
  readonly gateway: string;
  readonly wan: string;
  readonly connection: string;
  readonly serialNumber: string;
  readonly version: string;
  /** UPnP Device Architecture 1.1 §1.2.2: operating system, UPnP, product. */
  readonly server: string;
}

export function identityOf(instanceId: string, version: string): Identity {
  const uuid = (role: string): string => uuidFrom(createHash("sha256").update(`${instanceId} ${role}`).digest("hex"));
  return {
    gateway: `uuid:${uuid("gateway")}`,
    wan: `uuid:${uuid("wan")}`,
    connection: `uuid:${uuid("connection")}`,
    serialNumber: uuid("serial").slice(0, 8),
    version,
    server: `Linux UPnP/1.1 Portreeve/${version}`,
  };
}

/** RFC 9562 §5.8: made of what one likes, but for version and variant. */
function uuidFrom(hex: string): string {
  const variant = "89ab"[Number.parseInt(hex.charAt(16), 16) % 4];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
