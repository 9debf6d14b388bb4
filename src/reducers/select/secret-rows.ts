import { tableChanges, tableRows } from "../../lib/table.ts";
import type { Seq } from "../../events/envelope.ts";
import { accessSecrets } from "../account.ts";
import type { Device, State } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import type { SecretRow } from "./rows.ts";

interface Naming {
  readonly owner: string;
  readonly revision: Seq;
}

/** What names secrets outside of the devices: a handful. */
function namedElsewhere({ access, wireguard }: State): [string, Naming][] {
  const own: [string, Naming][] = accessSecrets(access).map((id) => [id, { owner: "access", revision: 1 }]);
  if (wireguard !== null) own.push([wireguard.privateKeySecret, { owner: "wireguard", revision: wireguard.revision }]);
  return own;
}

const secretsOf = (device: Device | undefined): string[] =>
  [device?.privateKeySecret, device?.presharedKeySecret, device?.dnsKeySecret].flatMap((id) =>
    id == null ? [] : [id],
  );

/** Every secret that is wanted: what nobody names any more is erased. */
class SecretTable implements DesiredTable<SecretRow> {
  readonly #state: State;
  /** Who names it, by secret id, made when it is first asked for. */
  #naming: Map<string, Naming> | null = null;

  constructor(state: State) {
    this.#state = state;
  }

  get(key: string): Desired<SecretRow> | undefined {
    const naming = this.#named().get(key);
    return naming === undefined ? undefined : rowOf(key, naming);
  }

  *rows(): Iterable<Desired<SecretRow>> {
    for (const [key, naming] of this.#named()) yield rowOf(key, naming);
  }

  changedSince(previous: DesiredTable<SecretRow>): Iterable<string> | null {
    if (!(previous instanceof SecretTable)) return null;
    const before = new Map(namedElsewhere(previous.#state));
    const after = new Map(namedElsewhere(this.#state));
    const keys = [...before.keys(), ...after.keys()].filter((id) => before.has(id) !== after.has(id));
    for (const { before: old, after: now } of tableChanges(previous.#state.devices, this.#state.devices)) {
      keys.push(...secretsOf(old), ...secretsOf(now));
    }
    return keys;
  }

  #named(): Map<string, Naming> {
    if (this.#naming !== null) return this.#naming;
    this.#naming = new Map(namedElsewhere(this.#state));
    for (const device of tableRows(this.#state.devices)) {
      for (const id of secretsOf(device)) this.#naming.set(id, { owner: device.id, revision: device.revision });
    }
    return this.#naming;
  }
}

const rowOf = (key: string, { owner, revision }: Naming): Desired<SecretRow> => {
  return { key, spec: { secretId: key }, owners: [owner], revision };
};

export function selectSecrets(): (state: State) => DesiredTable<SecretRow> {
  return remembering((state) => new SecretTable(state));
}
