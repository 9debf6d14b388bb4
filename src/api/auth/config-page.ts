import { LINK_SCRIPT, linkPage } from "./link-page.ts";

export const CONFIG_PAGE = "/device-config";

/** The page that a link to a device's configuration opens. Nothing is used up before its button. */
export const configPage = linkPage({
  title: "configuration of a device",
  body: `<p id="intro">The configuration of a device is shown here, once. It holds the device's private key: open it on the
device, or where its camera sees the screen.</p>
<p id="ask"><button id="show">Show the configuration</button></p>
<section id="shown" hidden>
<h2 id="name"></h2>
<p id="code"></p>
<p><a id="file">Save it as a file</a></p>
<pre id="text"></pre>
<ul id="notes"></ul>
</section>
<noscript><p>This page needs JavaScript. On the gateway, <code>portreeve device config NAME</code> shows the same.</p></noscript>`,
  script: "/device-config.js",
});

export const configScript = `${LINK_SCRIPT}
byId("show").addEventListener("click", async () => {
  const said = byId("said");
  byId("show").disabled = true;
  said.textContent = "One moment.";
  try {
    const config = await send("/api/v1/config-link/redeem", { token });
    byId("name").textContent = config.name;
    byId("text").textContent = config.text;
    const svg = new DOMParser().parseFromString(config.qr, "image/svg+xml").documentElement;
    svg.setAttribute("width", "320");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "QR code of the configuration");
    byId("code").append(document.importNode(svg, true));
    const file = byId("file");
    file.href = URL.createObjectURL(new Blob([config.text], { type: "text/plain" }));
    file.download = config.filename;
    for (const note of config.notes) {
      const item = document.createElement("li");
      item.textContent = note;
      byId("notes").append(item);
    }
    byId("ask").hidden = true;
    byId("shown").hidden = false;
    said.textContent = "The link is used up: this page is all there is of it.";
  } catch (error) {
    said.textContent = error.message;
    byId("show").disabled = false;
  }
});
`;
