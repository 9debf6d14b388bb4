import { PortreeveError } from "../../lib/errors.ts";
import type { Plan, ReconcileError } from "../../reconcilers/contract.ts";
import type { WireguardObservation } from "../../reconcilers/wireguard.ts";
import type { WireguardRow } from "../../reducers/select/rows.ts";
import { isWireguardKey } from "../../protocols/wireguard-config/fields.ts";
import type { WireguardDevices } from "./device.ts";
import type { SealedKeys } from "./sealed-keys.ts";

/** WireGuard's own spelling of "no preshared key". */
const NO_PRESHARED_KEY = Buffer.alloc(32).toString("base64");

interface WrittenPeer {
  readonly publicKey: string;
  readonly presharedKey: string;
  readonly allowedIps: readonly string[];
}

/** The peers of one plan, written in as few calls as there can be. */
export class PeerChanges {
  readonly #devices: WireguardDevices;
  readonly #sealed: SealedKeys;
  readonly #endpointOf: ((publicKey: string) => string | null) | undefined;
  readonly #removed: string[] = [];
  readonly #written: WrittenPeer[] = [];
  /** Rows that depend on the calls. */
  readonly keys: string[] = [];

  /** With `endpointOf` each peer that was heard of before is greeted where it was. */
  constructor(
    devices: WireguardDevices,
    sealed: SealedKeys,
    endpointOf: ((publicKey: string) => string | null) | undefined,
  ) {
    this.#devices = devices;
    this.#sealed = sealed;
    this.#endpointOf = endpointOf;
  }

  get empty(): boolean {
    return this.keys.length === 0;
  }

  /** Opens the secrets; a row whose secret does not open sinks alone. */
  async prepare(plan: Plan<WireguardRow, WireguardObservation>, errors: Map<string, ReconcileError>): Promise<void> {
    for (const change of plan) {
      const spec = change.op === "delete" ? change.observed : change.desired.spec;
      if (spec.kind !== "peer") continue;
      if (change.op === "delete") this.#removed.push(spec.publicKey);
      else {
        const { publicKey, presharedKeySecret, allowedIps } = spec;
        try {
          const presharedKey = presharedKeySecret === null ? NO_PRESHARED_KEY : await this.#open(presharedKeySecret);
          this.#written.push({ publicKey, presharedKey, allowedIps });
        } catch (error) {
          if (!(error instanceof PortreeveError)) throw error;
          errors.set(change.key, { code: error.code, message: error.message, disposition: "terminal" });
          continue;
        }
      }
      this.keys.push(change.key);
    }
  }

  /** One that is no key would sink all the rows that are written with it. */
  async #open(secretId: string): Promise<string> {
    const key = await this.#sealed.open(secretId);
    if (isWireguardKey(key) && key !== NO_PRESHARED_KEY) return key;
    throw new PortreeveError("UNAVAILABLE", `secret ${secretId} is no preshared key`, "terminal");
  }

  async write(name: string, signal: AbortSignal): Promise<void> {
    // First: what goes may have the addresses of what comes.
    await this.#devices.removePeers(name, this.#removed, signal);
    if (this.#written.length === 0) return;
    const greeted = this.#written.flatMap(({ publicKey }) => {
      const endpoint = this.#endpointOf?.(publicKey) ?? null;
      return endpoint === null ? [] : [{ publicKey, endpoint }];
    });
    const endpoints = new Map(greeted.map(({ publicKey, endpoint }) => [publicKey, endpoint]));
    const peers = this.#written.map((peer) => {
      const endpoint = endpoints.get(peer.publicKey);
      // Switched on, a keepalive is sent at once, and a handshake before it.
      return endpoint === undefined ? peer : { ...peer, endpoint, persistentKeepalive: 1 };
    });
    await this.#devices.add(name, { peers }, signal);
    if (greeted.length === 0) return;
    await this.#devices.add(
      name,
      {
        peers: this.#written
          .filter(({ publicKey }) => endpoints.has(publicKey))
          .map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps, persistentKeepalive: 0 })),
      },
      signal,
    );
  }
}
