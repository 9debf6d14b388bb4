import { z } from "zod";

type Step = string | number | symbol;

/** Default, optional and nullable around a schema say nothing about what is inside it. */
function bare(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable
  ) {
    inner = inner.unwrap();
  }
  return inner;
}

/** The schema that a path of keys and indexes leads to; undefined where it leads nowhere. */
export function schemaAt(root: z.core.$ZodType, path: readonly Step[]): z.core.$ZodType | undefined {
  let schema: z.core.$ZodType | undefined = bare(root);
  for (const step of path) {
    if (schema instanceof z.ZodObject) schema = (schema.shape as Record<string, z.ZodType>)[String(step)];
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return undefined;
    if (schema === undefined) return undefined;
    schema = bare(schema);
  }
  return schema;
}

/** Keys that an object at `path` may have; none if there is no object. */
export function keysAt(root: z.core.$ZodType, path: readonly Step[]): string[] {
  const schema = schemaAt(root, path);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}
