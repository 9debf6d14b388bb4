import type { PortreeveRecord } from "../events/index.ts";
import { assert } from "../lib/assert.ts";
import { without } from "./fork.ts";
import type { Access, State } from "./state.ts";

/** Names are one token's, however they are written. */
export function tokenNamed({ access }: State, name: string): Access["tokens"][string] | undefined {
  return Object.values(access.tokens).find((token) => token.name.toLowerCase() === name.toLowerCase());
}

export function onPasswordSet(draft: State, record: PortreeveRecord<"password.set">): void {
  const { secretId, reason } = record.event.data;
  // A link is for one password; storing the same one anew uses none up.
  const link = reason === "rehashed" ? draft.access.link : null;
  draft.access = { ...draft.access, password: { secretId, setAt: record.at }, link };
}

export function onSignInLinkIssued(draft: State, record: PortreeveRecord<"sign-in-link.issued">): void {
  draft.access = { ...draft.access, link: { ...record.event.data } };
}

export function onTotpEnabled(draft: State, record: PortreeveRecord<"totp.enabled">): void {
  draft.access = { ...draft.access, totp: { secretId: record.event.data.secretId, enabledAt: record.at } };
}

export function onTotpDisabled(draft: State): void {
  draft.access = { ...draft.access, totp: null };
}

export function onTokenCreated(draft: State, record: PortreeveRecord<"token.created">): void {
  const { data } = record.event;
  assert(draft.access.tokens[data.id] === undefined, `token ${data.id} exists`);
  const token = { ...data, scopes: [...data.scopes], createdAt: record.at };
  draft.access = { ...draft.access, tokens: { ...draft.access.tokens, [data.id]: token } };
}

export function onTokenRevoked(draft: State, record: PortreeveRecord<"token.revoked">): void {
  draft.access = { ...draft.access, tokens: without(draft.access.tokens, record.event.data.id) };
}

export function onAuthorityCreated(draft: State, record: PortreeveRecord<"authority.created">): void {
  draft.access = { ...draft.access, authority: { ...record.event.data } };
}

/** Ids of the sealed secrets that the accounts need; what nobody names may be erased. */
export function accessSecrets({ password, totp, link, tokens, authority }: Access): string[] {
  return [password, totp, link, authority, ...Object.values(tokens)].flatMap((each) => each?.secretId ?? []);
}
