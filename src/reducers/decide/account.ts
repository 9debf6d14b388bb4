import { ownRow } from "../../lib/own-row.ts";
import type { TokenScope } from "../../events/account.ts";
import { event } from "../../events/index.ts";
import { tokenNamed } from "../account.ts";
import type { State } from "../state.ts";
import type { CommandOf, Decision, SubmissionOf } from "./command.ts";
import { accept, refuse } from "./refusal.ts";

export type AccountCommand =
  | {
      readonly type: "password.set";
      readonly secretId: string;
      readonly reason: "changed" | "link" | "rehashed";
      /** Secret id of what it rests on, which must still be there: the link, or the password that is stored anew. */
      readonly basis: string | null;
    }
  | { readonly type: "sign-in-link.issue"; readonly secretId: string; readonly expiresAt: number }
  | { readonly type: "totp.enable"; readonly secretId: string }
  | { readonly type: "totp.disable" }
  | {
      readonly type: "token.create";
      readonly id: string;
      readonly name: string;
      readonly scopes: readonly TokenScope[];
      readonly expiresAt: number | null;
      readonly secretId: string;
    }
  | { readonly type: "token.revoke"; readonly id: string }
  | { readonly type: "authority.create"; readonly certificate: string; readonly secretId: string };

const DONE = { kind: "done" } as const;
const TOKENS_MAX = 100;

/** Of two who use a link at once, one wins; and an old password is never stored over a new one. */
export function decidePasswordSet(command: SubmissionOf<"password.set">, state: State): Decision {
  const { secretId, reason, basis } = command;
  const { link, password } = state.access;
  if (reason === "link" && (link === null || link.secretId !== basis || link.expiresAt <= command.now)) {
    return refuse("NOT_AUTHORIZED", "this link was used or has ended; `portreeve user link` on the gateway makes one");
  }
  if (reason === "rehashed" && password?.secretId !== basis) {
    return refuse("LOG_REVISION_CONFLICT", "the password was changed meanwhile");
  }
  return accept([event("password.set", { secretId, reason })], DONE);
}

export function decideLinkIssue(command: SubmissionOf<"sign-in-link.issue">): Decision {
  const { secretId, expiresAt } = command;
  if (expiresAt <= command.now) return refuse("INVALID_REQUEST", "a link ends in the future");
  return accept([event("sign-in-link.issued", { secretId, expiresAt })], DONE);
}

export function decideTotpEnable({ secretId }: CommandOf<"totp.enable">, { access }: State): Decision {
  if (access.password === null) {
    return refuse(
      "INVALID_REQUEST",
      "a second factor needs a first one: set a password with `portreeve user password`",
    );
  }
  if (access.totp !== null) {
    return refuse("INVALID_REQUEST", "codes are asked for already; turn that off first, then enrol the new device");
  }
  return accept([event("totp.enabled", { secretId })], DONE);
}

export function decideTotpDisable({ access }: State): Decision {
  return accept(access.totp === null ? [] : [event("totp.disabled", {})], DONE);
}

export function decideTokenCreate(command: SubmissionOf<"token.create">, state: State): Decision {
  const { id, name, expiresAt, secretId } = command;
  const same = tokenNamed(state, name);
  if (same !== undefined) {
    return refuse("CONFLICT", `there is a token ${same.name} (${same.id}); remove it first or choose another name`);
  }
  if (Object.keys(state.access.tokens).length >= TOKENS_MAX) {
    return refuse(
      "QUOTA_EXCEEDED",
      `there are ${TOKENS_MAX} tokens already; \`portreeve token list\` shows which to remove`,
    );
  }
  if (expiresAt !== null && expiresAt <= command.now) return refuse("INVALID_REQUEST", "a token ends in the future");
  const scopes = [...new Set(command.scopes)];
  return accept([event("token.created", { id, name, scopes, expiresAt, secretId })], { kind: "ids", ids: [id] });
}

export function decideTokenRevoke({ id }: CommandOf<"token.revoke">, { access }: State): Decision {
  if (ownRow(access.tokens, id) === undefined) {
    return refuse("NOT_FOUND", `there is no token ${id}; \`portreeve token list\` shows those there are`);
  }
  return accept([event("token.revoked", { id })], { kind: "ids", ids: [id] });
}

export function decideAuthorityCreate({ certificate, secretId }: CommandOf<"authority.create">): Decision {
  return accept([event("authority.created", { certificate, secretId })], DONE);
}
