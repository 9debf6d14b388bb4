import { ERROR_CODES, type ErrorCode } from "../lib/errors.ts";
import { httpStatus } from "./problem.ts";

interface Operation {
  readonly summary?: string;
  readonly parameters?: readonly { name: string; in: string; description?: string; required?: boolean }[];
  readonly requestBody?: { content?: Record<string, { schema?: unknown }> };
}

export const docsStyle = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  section { border-top: 1px solid #8884; padding: .75rem 0 }
  h2 { font-size: 1rem; margin: 0; font-family: ui-monospace, monospace }
  table { border-spacing: 0 } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
  code, pre { font: .875rem ui-monospace, monospace } pre { overflow: auto }`;

/** A page of our own that needs no script and nothing from elsewhere: the document for people. */
export function docsPage(document: object): string {
  const { info, paths = {} } = document as { info: { title: string; version: string }; paths?: Record<string, object> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) => section(method, path, operation)),
  );
  const codes = Object.entries(ERROR_CODES).map(
    ([code, text]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${httpStatus(code as ErrorCode)}</td><td>${escape(text)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(info.title)} API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/docs.css"></head><body>
<h1>${escape(info.title)} API <small>${escape(info.version)}</small></h1>
<p>The same as <a href="/openapi.json">openapi.json</a>. Times are ISO 8601, durations seconds. Over TCP sign in,
or send <code>Authorization: Bearer TOKEN</code>; the Unix socket needs no token.</p>
${operations.join("\n")}
<h1>Errors</h1><p>Every error is <code>application/problem+json</code> with one of these codes.</p>
<table>${codes.join("\n")}</table>
</body></html>
`;
}

function section(method: string, path: string, operation: Operation): string {
  const rows = (operation.parameters ?? []).map(
    ({ name, in: where, description = "", required = false }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${escape(where)}${required ? ", required" : ""}</td><td>${escape(description)}</td></tr>`,
  );
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const bodyText = body === undefined ? "" : `<pre>${escape(JSON.stringify(body, null, 2))}</pre>`;
  return `<section><h2>${method.toUpperCase()} ${escape(path)}</h2><p>${escape(operation.summary ?? "")}</p>
<table>${rows.join("\n")}</table>${bodyText}</section>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
