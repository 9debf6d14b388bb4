import { event, type PortreeveEvent } from "../../events/index.ts";
import { ownRow } from "../../lib/own-row.ts";
import type { State } from "../state.ts";
import { objectKind, timeText } from "./kind.ts";

type Token = State["access"]["tokens"][string];

/** What programs sign in with; and why nothing of the accounts that was sealed comes back. */
export const tokens = objectKind<Token>({
  name: "token",
  keysOf: ({ type, data }) => (type === "token.created" || type === "token.revoked" ? [data.id] : []),
  read: ({ access }, key) => ownRow(access.tokens, key),
  describe: ({ name, scopes, expiresAt }) => ({ name, says: { may: scopes.join(", "), ends: timeText(expiresAt) } }),
  erases,
  takeAway: (_made, now) => [event("token.revoked", { id: now.id })],
  edit: () => [],
  // Refused by name before it comes to this.
  giveBack: ({ name }) => ({ why: `the secret of ${name} is erased`, by: [] }),
});

function erases({ type, data }: PortreeveEvent, { access }: State): string | null {
  switch (type) {
    case "token.revoked":
      return `the secret of ${access.tokens[data.id]?.name ?? data.id} is erased with it`;
    case "password.set":
      return access.password === null ? null : "the password before it is erased with it";
    case "totp.disabled":
      return "the secret of the codes is erased with it";
    default:
      return null;
  }
}
