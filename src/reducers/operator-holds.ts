import type { Transport } from "../events/fields.ts";
import { TableIndex } from "../lib/table-index.ts";
import type { Mapping, State } from "./state.ts";

const targetKey = (address: string, protocol: Transport): string => `${address}|${protocol}`;
const isHeld = (mapping: Mapping): boolean => mapping.claims.some((claim) => claim.source === "manual");

const HOLDS = new TableIndex<Mapping>((mapping) =>
  isHeld(mapping) ? targetKey(mapping.internalAddress, mapping.protocol) : null,
);

/** Ids of the mappings to a host that an operator holds. */
export const operatorHolds = ({ mappings }: State, address: string, protocol: Transport): string[] =>
  HOLDS.keysAt(mappings, targetKey(address, protocol));
