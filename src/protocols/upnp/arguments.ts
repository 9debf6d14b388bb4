import { UpnpFault } from "./error.ts";
import type { ActionDefinition } from "./definition.ts";

const TRUE = ["1", "true", "yes"];
const FALSE = ["0", "false", "no"];

/** What an action was called with: exactly its arguments, in whatever order, each read as its type. */
export class Arguments {
  readonly #values: ReadonlyMap<string, string>;

  constructor({ in: wanted }: ActionDefinition, values: ReadonlyMap<string, string>) {
    for (const { name } of wanted) if (!values.has(name)) throw new UpnpFault(402, `${name} is missing`);
    for (const name of values.keys())
      if (!wanted.some((argument) => argument.name === name))
        throw new UpnpFault(402, `${name} is no argument of this action`);
    this.#values = values;
  }

  text(name: string): string {
    return this.#values.get(name) ?? "";
  }

  ui2(name: string): number {
    return this.#number(name, 0xffff);
  }

  ui4(name: string): number {
    return this.#number(name, 0xffffffff);
  }

  boolean(name: string): boolean {
    const text = this.text(name).trim().toLowerCase();
    if (TRUE.includes(text)) return true;
    if (FALSE.includes(text)) return false;
    throw new UpnpFault(402, `${name} is no boolean`);
  }

  /** Never wrapped: 65536 is no port (402 is for what is no number, 601 for a number beyond its range). */
  #number(name: string, max: number): number {
    const text = this.text(name).trim();
    if (!/^\d+$/.test(text)) throw new UpnpFault(402, `${name} is no number`);
    const value = text.length > 12 ? Number.POSITIVE_INFINITY : Number(text);
    if (value > max) throw new UpnpFault(601, `${name} is beyond ${max}`);
    return value;
  }
}
