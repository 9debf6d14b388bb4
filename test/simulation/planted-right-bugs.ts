import type { PeerFilter } from "../../src/events/mapping.ts";
import type * as DevicePorts from "../../src/reducers/decide/device-ports.ts";
import type * as Filters from "../../src/reducers/decide/filters.ts";
import type * as InTheirPlace from "../../src/reducers/decide/in-their-place.ts";
import type * as PinholeRows from "../../src/reducers/select/pinhole-rows.ts";
import type * as SubnetObjects from "../../src/reducers/objects/subnet.ts";
import type { RevertTerms } from "../../src/reducers/objects/kind.ts";
import type { PlantedBug } from "./planted-bugs.ts";

const DEVICE_PORTS = "../../src/reducers/decide/device-ports.ts";
const IN_THEIR_PLACE = "../../src/reducers/decide/in-their-place.ts";
const FILTERS = "../../src/reducers/decide/filters.ts";
const PINHOLE_ROWS = "../../src/reducers/select/pinhole-rows.ts";
const SUBNET_OBJECTS = "../../src/reducers/objects/subnet.ts";
const CONFIRMATIONS = "../../src/controller/confirmations.ts";

/** Of who may open what, to whom, and until when. */
export const PLANTED_RIGHT_BUGS: readonly PlantedBug[] = [
  {
    area: "rights",
    bug: "what was let in to a device stays when the device has gone",
    shows: /after (devices?|subnet)\.\w+: .* is there, and/,
    module: DEVICE_PORTS,
    plant: ({ removal }: typeof DevicePorts) => ({
      removal: (...args: Parameters<typeof removal>) =>
        removal(...args).filter(({ type }) => type !== "lease.released"),
    }),
  },
  {
    area: "rights",
    bug: "a pinhole stays at its address when its subnet has another prefix",
    shows: /and nobody has/,
    module: DEVICE_PORTS,
    plant: () => ({ closePinholes: () => [] }),
  },
  {
    area: "rights",
    bug: "what was asked for in the place of others stays when the delegation was withdrawn",
    shows: /may not ask in the place of .* any more/,
    module: IN_THEIR_PLACE,
    plant: () => ({ releaseForOthers: () => [] }),
  },
  {
    area: "rights",
    bug: "who is let ask for one host may ask for all",
    shows: /although .* may not ask in the place of|S7 mapping .* is claimed by another device/,
    module: IN_THEIR_PLACE,
    plant: ({ inTheirPlace }: typeof InTheirPlace) => ({
      inTheirPlace: (...[command]: Parameters<typeof inTheirPlace>) =>
        command.thirdParty === undefined || command.thirdParty.startsWith("10.")
          ? command
          : { ...command, interface: "lan0", device: command.thirdParty, askedBy: command.device },
    }),
  },
  {
    area: "rights",
    bug: "a pinhole that is renewed loses its filter",
    shows: /a claim lets in .* and was asked to let in/,
    module: FILTERS,
    plant: ({ filtersAfter }: typeof Filters) => ({
      filtersAfter: (_: readonly PeerFilter[], asked: Parameters<typeof filtersAfter>[1]) => filtersAfter([], asked),
    }),
  },
  {
    area: "rights",
    bug: "a pinhole for one peer lets in everybody",
    shows: /pinholes_from\S* .* is missing/,
    module: PINHOLE_ROWS,
    plant: ({ pinholeRow }: typeof PinholeRows) => ({
      pinholeRow: (...args: Parameters<typeof pinholeRow>) => {
        const row = pinholeRow(...args);
        return row === undefined || row.spec.kind !== "pinholeFrom"
          ? row
          : { ...row, spec: { ...row.spec, from: "::/0" } };
      },
    }),
  },
  {
    area: "rights",
    bug: "an undo gives back a pinhole at an address that nobody has any more",
    shows: /after change\.revert: .* and nobody has/,
    module: SUBNET_OBJECTS,
    first: 890,
    plant: ({ revertedSubnet }: typeof SubnetObjects) => ({
      revertedSubnet: (id: string, terms: RevertTerms) => terms.before.subnets[id] ?? revertedSubnet(id, terms),
    }),
  },
  {
    area: "rights",
    bug: "what nobody confirmed stays",
    shows: /awaits its confirmation/,
    module: CONFIRMATIONS,
    plant: () => ({
      Confirmations: class {
        readonly start = (): Promise<void> => Promise.resolve();
        readonly close = (): Promise<void> => Promise.resolve();
      },
    }),
  },
];
