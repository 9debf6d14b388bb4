import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";

type TransformInput = Parameters<typeof jsonSchemaTransformObject>[0];
type RouteInput = Parameters<typeof jsonSchemaTransform>[0];

/** A route as its schemas give it, with the scope it asks for as the role that OpenAPI 3.1 lets a bearer token have. */
export function describeRoute(input: RouteInput): ReturnType<typeof jsonSchemaTransform> {
  const described = jsonSchemaTransform(input);
  const scope = input.route.config?.scope;
  const roles = scope === undefined || scope === "open" ? [] : [scope];
  const security = scope === "open" ? [] : scope === "local" ? [{}] : [{ token: roles }, { session: [] }];
  return { ...described, schema: { ...described.schema, security } };
}

interface Document {
  paths?: Record<string, Record<string, { responses?: Record<string, unknown> }>>;
  components?: { schemas?: Record<string, unknown> };
}

const PROBLEM = {
  description: "a problem",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

/** The document as the schemas give it, with errors said once for every operation and without what nothing refers to. */
export function describeApi(input: TransformInput): ReturnType<typeof jsonSchemaTransformObject> {
  const result = jsonSchemaTransformObject(input);
  const document = result as unknown as Document;
  for (const methods of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(methods)) operation.responses = { ...operation.responses, default: PROBLEM };
  }
  if (document.components?.schemas !== undefined) dropUnused(document, document.components.schemas);
  return result;
}

/** Each schema comes in two variants, as it is sent and as it is received; mostly one of them is used. */
function dropUnused(document: Document, schemas: Record<string, unknown>): void {
  const used = new Set<string>();
  const waiting = referencesIn(document.paths);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (used.has(name)) continue;
    used.add(name);
    waiting.push(...referencesIn(schemas[name]));
  }
  for (const name of Object.keys(schemas)) if (!used.has(name)) delete schemas[name];
}

function referencesIn(value: unknown): string[] {
  const text = JSON.stringify(value) ?? "";
  return [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1] as string);
}
