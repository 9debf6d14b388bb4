import { event } from "../../events/index.ts";
import { ownRow } from "../../lib/own-row.ts";
import { tableGet } from "../../lib/table.ts";
import { mappingsOf } from "../device-mappings.ts";
import { allowanceKey, type State } from "../state.ts";
import { objectKind, refOf } from "./kind.ts";

type Allowance = State["allowances"][string];

/** An admin's yes to one port that a device asked for. */
export const allowances = objectKind<Allowance>({
  name: "allowance",
  keysOf: ({ type, data }) =>
    type === "allowance.granted" || type === "allowance.withdrawn"
      ? [allowanceKey(data.device, data.protocol, data.internalPort)]
      : [],
  read: (state, key) => ownRow(state.allowances, key),
  describe: ({ device, protocol, internalPort }, state) => ({
    name: `${internalPort}/${protocol} of ${tableGet(state.devices, device)?.name ?? device}`,
    says: { asking: "allowed" },
  }),
  takeAway(_made, now, { before, now: state, own }) {
    const { device: id, protocol, internalPort } = now;
    const withdrawn = event("allowance.withdrawn", { device: id, protocol, internalPort });
    const device = tableGet(state.devices, id);
    // With the right itself nothing hangs on the yes.
    if (device === undefined || device.ports === "auto") return [withdrawn];
    const opened = mappingsOf(state, device).filter((mapping) => {
      if (mapping.protocol !== protocol || mapping.internalPort !== internalPort) return false;
      if (tableGet(before.mappings, mapping.id) !== undefined) return false;
      return mapping.claims.some((claim) => claim.device !== null) && !own.has(refOf("port", mapping.id));
    });
    if (opened.length === 0) return [withdrawn];
    return { why: `${device.name} opened it since`, by: opened.map((mapping) => refOf("port", mapping.id)) };
  },
  edit: () => [],
  giveBack({ device, protocol, internalPort }, { now }) {
    // A device that is gone needs no yes; one that comes back brings its own.
    if (tableGet(now.devices, device) === undefined) return [];
    return [event("allowance.granted", { device, protocol, internalPort })];
  },
});
