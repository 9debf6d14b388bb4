/** Stands where a configuration has a private key that only the device knows. */
export const PRIVATE_KEY_PLACEHOLDER = "PUT_THE_PRIVATE_KEY_OF_THIS_DEVICE_HERE";

export type HookEvent = "PreUp" | "PostUp" | "PreDown" | "PostDown";

/** A configuration as wg(8) and wg-quick(8) define it. All values in canonical form. */
export interface WgQuickConfig {
  readonly interface: WgQuickInterface;
  readonly peers: readonly WgQuickPeer[];
}

export interface WgQuickInterface {
  /** Lines of comment above its header and its keys; tools keep names there. */
  readonly comments: readonly string[];
  readonly privateKey: string | null;
  readonly listenPort: number | null;
  readonly fwMark: number | null;
  readonly addresses: readonly string[];
  /** Servers, and domains to search. */
  readonly dns: readonly string[];
  readonly mtu: number | null;
  /** "off", "auto" or a number. */
  readonly table: string | null;
  readonly saveConfig: boolean;
  readonly hooks: readonly { readonly event: HookEvent; readonly command: string }[];
}

export interface WgQuickPeer {
  readonly comments: readonly string[];
  readonly publicKey: string;
  readonly presharedKey: string | null;
  readonly allowedIps: readonly string[];
  readonly endpoint: string | null;
  /** Seconds; 0: off. */
  readonly persistentKeepalive: number | null;
}

/** What `parseWgQuick` reads as the same again. Without the keys of wg-quick it is what `wg addconf` takes. */
export function formatWgQuick(config: {
  readonly interface?: Partial<WgQuickInterface>;
  readonly peers?: readonly (Partial<WgQuickPeer> & Pick<WgQuickPeer, "publicKey">)[];
}): string {
  const lines: string[] = [];
  const line = (name: string, value: string | number | null | undefined): void => {
    if (value !== null && value !== undefined && value !== "") lines.push(`${name} = ${value}`);
  };
  const begin = (header: string, comments: readonly string[] = []): void => {
    lines.push(...comments.map((comment) => `# ${comment}`), header);
  };
  const { interface: device, peers = [] } = config;
  if (device !== undefined) {
    begin("[Interface]", device.comments);
    line("PrivateKey", device.privateKey);
    line("ListenPort", device.listenPort);
    line("FwMark", device.fwMark);
    line("Address", device.addresses?.join(", "));
    line("DNS", device.dns?.join(", "));
    line("MTU", device.mtu);
    line("Table", device.table);
    if (device.saveConfig === true) lines.push("SaveConfig = true");
    for (const { event, command } of device.hooks ?? []) lines.push(`${event} = ${command}`);
  }
  for (const peer of peers) {
    begin("[Peer]", peer.comments);
    line("PublicKey", peer.publicKey);
    line("PresharedKey", peer.presharedKey);
    line("AllowedIPs", peer.allowedIps?.join(", "));
    line("Endpoint", peer.endpoint);
    line("PersistentKeepalive", peer.persistentKeepalive);
  }
  return `${lines.join("\n")}\n`;
}
