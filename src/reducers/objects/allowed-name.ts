import { event } from "../../events/index.ts";
import { ownRow } from "../../lib/own-row.ts";
import { tableGet } from "../../lib/table.ts";
import { withdrawnNames } from "../decide/device-names.ts";
import { without } from "../fork.ts";
import { allowedNameKey, type State } from "../state.ts";
import { objectKind, refOf } from "./kind.ts";

type AllowedName = State["allowedNames"][string];

/** An admin's yes to a name, and to all below it, that a device asked for. */
export const allowedNames = objectKind<AllowedName>({
  name: "name",
  keysOf: ({ type, data }) =>
    type === "name.allowed" || type === "name.withdrawn" ? [allowedNameKey(data.device, data.name)] : [],
  read: (state, key) => ownRow(state.allowedNames, key),
  describe: ({ device, name }, state) => ({
    name: `${name} of ${tableGet(state.devices, device)?.name ?? device}`,
    says: { publishing: "allowed" },
  }),
  takeAway(_made, now, { now: state, own, lapse }) {
    const { device: id, name } = now;
    const withdrawn = event("name.withdrawn", { device: id, name });
    const device = tableGet(state.devices, id);
    if (device === undefined) return [withdrawn];
    const left = { ...state, allowedNames: without(state.allowedNames, allowedNameKey(id, name)) };
    const ended = withdrawnNames(left, device, name);
    // Nobody keeps a yes on trial by using it.
    if (lapse) return [...ended, withdrawn];
    const published = ended.flatMap(({ type, data }) =>
      type === "record.removed" && !own.has(refOf("record", data.id)) ? [refOf("record", data.id)] : [],
    );
    return published.length === 0 ? [withdrawn] : { why: `${device.name} published it since`, by: published };
  },
  edit: () => [],
  giveBack({ device, name }, { now }) {
    // A device that is gone needs no yes; one that comes back brings its own.
    return tableGet(now.devices, device) === undefined ? [] : [event("name.allowed", { device, name })];
  },
});
