import type { Transport } from "../events/fields.ts";
import { TableIndex } from "../lib/table-index.ts";
import type { Mapping, State } from "./state.ts";

const targetKey = (address: string, protocol: Transport): string => `${address}|${protocol}`;

/** An operator wants it, alone or with devices. */
export const heldByOperator = ({ claims }: Pick<Mapping, "claims">): boolean =>
  claims.some(({ source }) => source === "manual");

/** No device has asked for it. */
export const heldByOperatorAlone = ({ claims }: Pick<Mapping, "claims">): boolean =>
  claims.every(({ source }) => source === "manual");

const HOLDS = new TableIndex<Mapping>((mapping) =>
  heldByOperator(mapping) ? targetKey(mapping.internalAddress, mapping.protocol) : null,
);

/** Ids of the mappings to a host that an operator holds. */
export const operatorHolds = ({ mappings }: State, address: string, protocol: Transport): string[] =>
  HOLDS.keysAt(mappings, targetKey(address, protocol));
