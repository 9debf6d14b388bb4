import { LINK_SCRIPT, linkPage } from "./link-page.ts";

export const SIGN_IN_PAGE = "/sign-in";

/** The page that a one-time link opens: it sets the password. Without one it signs in. */
export const signInPage = linkPage({
  title: "sign in",
  body: `<p id="intro">Sign in.</p>
<form id="form">
<p><label>Password<br><input id="password" type="password" minlength="10" maxlength="256" autocomplete="current-password" required autofocus></label></p>
<p id="again-row" hidden><label>The same once more<br><input id="again" type="password" autocomplete="new-password"></label></p>
<p id="code-row"><label>Code, if you enrolled an authenticator app<br><input id="code" inputmode="numeric" pattern="[0-9]{6}" autocomplete="one-time-code"></label></p>
<p><button id="button">Sign in</button></p>
</form>
<noscript><p>This page needs JavaScript. On the gateway, <code>portreeve user password</code> does the same.</p></noscript>`,
  script: "/sign-in.js",
});

export const signInScript = `${LINK_SCRIPT}
if (token !== "") {
  byId("intro").textContent = "Choose the password of this gateway: ten characters or more.";
  byId("password").autocomplete = "new-password";
  byId("again-row").hidden = false;
  byId("again").required = true;
  byId("code-row").hidden = true;
  byId("button").textContent = "Set the password";
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
