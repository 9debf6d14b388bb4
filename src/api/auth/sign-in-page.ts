import type { HostNames } from "../host-names.ts";

/** In the fragment, so that no server's log, no proxy and no Referer ever has the token. */
export const signInUrl = (names: Pick<HostNames, "url">, token: string): string => `${names.url}/sign-in#${token}`;

/** The page that a one-time link opens: it sets the password and needs nothing from elsewhere. */
export const signInPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Portreeve: sign in</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>
<main><h1>Portreeve</h1>
<p id="intro">Sign in.</p>
<form id="form">
<p><label>Password<br><input id="password" type="password" minlength="10" maxlength="256" autocomplete="current-password" required autofocus></label></p>
<p id="again-row" hidden><label>The same once more<br><input id="again" type="password" autocomplete="new-password"></label></p>
<p id="code-row"><label>Code, if you enrolled an authenticator app<br><input id="code" inputmode="numeric" pattern="[0-9]{6}" autocomplete="one-time-code"></label></p>
<p><button id="button">Sign in</button></p>
</form>
<p id="said" role="status"></p></main>
<noscript><p>This page needs JavaScript. On the gateway, <code>portreeve user password</code> does the same.</p></noscript>
<script src="/sign-in.js"></script>
</body></html>
`;

export const signInScript = `"use strict";
const byId = (id) => document.getElementById(id);
const token = location.hash.slice(1);
// Out of the address bar and of the history.
if (token !== "") history.replaceState(null, "", location.pathname);
if (token !== "") {
  byId("intro").textContent = "Choose the password of this gateway: ten characters or more.";
  byId("password").autocomplete = "new-password";
  byId("again-row").hidden = false;
  byId("again").required = true;
  byId("code-row").hidden = true;
  byId("button").textContent = "Set the password";
}
async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail);
  return document;
}
byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = byId("said");
  const password = byId("password").value;
  if (token !== "" && password !== byId("again").value) {
    said.textContent = "The two passwords differ.";
    return;
  }
  byId("button").disabled = true;
  said.textContent = "One moment.";
  try {
    if (token === "") await send("/api/v1/sessions", { password, code: byId("code").value || null });
    else if ((await send("/api/v1/sign-in-link/redeem", { token, password })).session === null) {
      location.reload();
      return;
    }
    byId("form").hidden = true;
    said.textContent = "You are signed in. ";
    const link = document.createElement("a");
    link.href = "/docs";
    link.textContent = "The API of this gateway";
    said.append(link);
  } catch (error) {
    said.textContent = error.message;
    byId("button").disabled = false;
  }
});
`;
