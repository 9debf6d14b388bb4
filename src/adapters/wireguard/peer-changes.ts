import { PortreeveError } from "../../lib/errors.ts";
import type { Change, Plan, ReconcileError } from "../../reconcilers/contract.ts";
import type { WireguardObservation } from "../../reconcilers/wireguard.ts";
import type { WireguardRow } from "../../reducers/select/rows.ts";
import { isWireguardKey } from "../../protocols/wireguard-config/fields.ts";
import type { WireguardDevices } from "./device.ts";
import { OPEN_AT_ONCE, type SealedKeys } from "./sealed-keys.ts";

type PeerChange = Change<WireguardRow, WireguardObservation>;

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
    for (let start = 0; start < plan.length; start += OPEN_AT_ONCE) {
      const some = plan.slice(start, start + OPEN_AT_ONCE);
      const keys = await Promise.all(some.map(async (change) => await this.#presharedKeyOf(change)));
      for (const [index, change] of some.entries()) this.#take(change, keys[index] ?? null, errors);
    }
  }

  #take(change: PeerChange, key: string | PortreeveError | null, errors: Map<string, ReconcileError>): void {
    const spec = change.op === "delete" ? change.observed : change.desired.spec;
    if (spec.kind !== "peer") return;
    const { publicKey, allowedIps } = spec;
    if (key === null) this.#removed.push(publicKey);
    else if (typeof key === "string") this.#written.push({ publicKey, presharedKey: key, allowedIps });
    else return void errors.set(change.key, { code: key.code, message: key.message, disposition: "terminal" });
    this.keys.push(change.key);
  }

  /** Null: none is needed. */
  async #presharedKeyOf(change: PeerChange): Promise<string | PortreeveError | null> {
    if (change.op === "delete" || change.desired.spec.kind !== "peer") return null;
    const { presharedKeySecret: secretId } = change.desired.spec;
    if (secretId === null) return NO_PRESHARED_KEY;
    try {
      const key = await this.#sealed.open(secretId);
      if (isWireguardKey(key) && key !== NO_PRESHARED_KEY) return key;
      // It would sink all the rows that are written with it.
      return new PortreeveError("UNAVAILABLE", `secret ${secretId} is no preshared key`, "terminal");
    } catch (error) {
      if (error instanceof PortreeveError) return error;
      throw error;
    }
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
