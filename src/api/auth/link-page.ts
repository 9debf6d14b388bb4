/** A page of ours that needs nothing from elsewhere: its script is a file of ours beside it. */
export const linkPage = ({
  title,
  body,
  script,
}: {
  title: string;
  body: string;
  script: string;
}): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Portreeve: ${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>
<main><h1>Portreeve</h1>
${body}
<p id="said" role="status"></p></main>
<script src="${script}"></script>
</body></html>
`;

/** At the beginning of the script of each: `token` is out of the address bar and of the history from here on. */
export const LINK_SCRIPT = `"use strict";
const byId = (id) => document.getElementById(id);
const token = location.hash.slice(1);
if (token !== "") history.replaceState(null, "", location.pathname);
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
`;
