import { event } from "../../events/index.ts";
import type { Claim } from "../../events/mapping.ts";
import type { Mapping, State } from "../state.ts";
import type { CommandEnvelope } from "./command.ts";
import { newId } from "./new-id.ts";

interface DeviceAsks extends CommandEnvelope {
  readonly interface: string;
  readonly device: string;
  readonly host?: string | null;
  readonly internalPort: number;
}

type Place = Pick<Mapping, "wan" | "protocol" | "externalPort" | "count" | "name">;

/** The new mapping of a device that asked for it, by whatever protocol: nothing of it is an operator's choice yet. */
export function deviceGrant(command: DeviceAsks, state: State, place: Place, claim: Claim) {
  return event("mapping.granted", {
    id: newId("m", state, command),
    wan: place.wan,
    protocol: place.protocol,
    externalPort: place.externalPort,
    internalAddress: command.device,
    internalPort: command.internalPort,
    host: command.host ?? null,
    count: place.count,
    interface: command.interface,
    label: null,
    enabled: true,
    sourceAddress: null,
    from: [],
    name: place.name,
    claim,
  });
}
