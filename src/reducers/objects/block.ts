import { event } from "../../events/index.ts";
import { ownRow } from "../../lib/own-row.ts";
import { internalKey } from "../state.ts";
import { objectKind } from "./kind.ts";

/** What a device may not ask for. */
export const blocks = objectKind({
  name: "block",
  keysOf: ({ type, data }) =>
    type === "block.set" || type === "block.lifted" ? [internalKey(data.device, data.protocol, data.internalPort)] : [],
  read: (state, key) => ownRow(state.blocks, key),
  describe: ({ device, protocol, internalPort }) => ({
    name: `${internalPort}/${protocol} of ${device}`,
    says: { asking: "refused" },
  }),
  takeAway: ({ device, protocol, internalPort }) => [event("block.lifted", { device, protocol, internalPort })],
  edit: () => [],
  giveBack: ({ device, protocol, internalPort }) => [event("block.set", { device, protocol, internalPort })],
});
