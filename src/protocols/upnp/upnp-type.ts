/** "urn:schemas-upnp-org:service:WANIPConnection:1" and its like for devices: UPnP Device Architecture 1.1 §2.2, §2.3. */
export interface UpnpType {
  readonly kind: "device" | "service";
  readonly name: string;
  readonly version: number;
}

const TYPE = /^urn:schemas-upnp-org:(device|service):([A-Za-z0-9_-]{1,64}):([1-9]\d{0,2})$/;

export function parseUpnpType(text: string): UpnpType | null {
  const [, kind, name = "", version] = TYPE.exec(text) ?? [];
  return kind === undefined ? null : { kind: kind as UpnpType["kind"], name, version: Number(version) };
}

export const typeText = ({ kind, name, version }: UpnpType): string =>
  `urn:schemas-upnp-org:${kind}:${name}:${version}`;
