import type { Transport } from "../../events/fields.ts";
import { mappingAt } from "../port-index.ts";
import { admittedPeers, isOpen } from "../reach.ts";
import { isPinhole, type Mapping, type State } from "../state.ts";
import type { Desired } from "./desired.ts";
import type { ForwardRow } from "./rows.ts";

/** Keys of the rows of a pinhole: one for everybody, or one for each network that it lets in. */
export function* pinholeKeysOf(mapping: Mapping): Generator<string> {
  const { internalAddress, protocol, internalPort } = mapping;
  const place = `${internalAddress}|${protocol}|${internalPort}`;
  const peers = admittedPeers(mapping);
  if (peers === null) yield `pinhole|${place}`;
  for (const { prefix, port } of peers ?? []) {
    yield port === null ? `pinholeFrom|${place}|${prefix}` : `pinholeFromPort|${place}|${prefix}|${port}`;
  }
}

export interface AskedPinhole {
  readonly key: string;
  readonly address: string;
  readonly protocol: Transport;
  readonly port: number;
  /** Null: everybody. */
  readonly from: string | null;
  /** Null: any port. */
  readonly fromPort: number | null;
}

export function pinholeRow(state: State, asked: AskedPinhole): Desired<ForwardRow> | undefined {
  const { key, address, protocol, port, from, fromPort } = asked;
  const mapping = mappingAt(state, address, protocol, port);
  if (mapping === undefined || !isPinhole(mapping) || !isOpen(mapping)) return undefined;
  const peers = admittedPeers(mapping);
  const isLetIn =
    from === null ? peers === null : peers?.some((peer) => peer.prefix === from && peer.port === fromPort) === true;
  if (!isLetIn) return undefined;
  const place = { address, protocol, port } as const;
  const spec: ForwardRow =
    from === null
      ? { kind: "pinhole", ...place }
      : fromPort === null
        ? { kind: "pinholeFrom", ...place, from }
        : { kind: "pinholeFromPort", ...place, from, fromPort };
  // Where it is to be found depends on no WAN, so that nothing but itself changes it.
  return { key, spec, owners: [mapping.id], revision: mapping.specRevision };
}
