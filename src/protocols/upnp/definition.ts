/** What a service can do, as its SCPD says it: UPnP Device Architecture 1.1 §2.5. */
export interface ServiceDefinition {
  readonly actions: readonly ActionDefinition[];
  readonly variables: readonly StateVariable[];
}

export interface ActionDefinition {
  readonly name: string;
  readonly in: readonly Argument[];
  readonly out: readonly Argument[];
}

export interface Argument {
  readonly name: string;
  /** The state variable that has its type. */
  readonly variable: string;
}

export type DataType = "ui2" | "ui4" | "boolean" | "string";

export interface StateVariable {
  readonly name: string;
  readonly type: DataType;
  readonly evented: boolean;
  readonly values?: readonly string[];
  readonly range?: { readonly min: number; readonly max: number };
  readonly initial?: string;
}

/** `"NewExternalPort:ExternalPort"`: an argument and its variable, written as in the tables of the specifications. */
export function action(name: string, given: readonly string[], returned: readonly string[]): ActionDefinition {
  return { name, in: given.map(argument), out: returned.map(argument) };
}

function argument(text: string): Argument {
  const [name = "", variable = ""] = text.split(":");
  return { name, variable };
}

export function variable(
  name: string,
  type: DataType,
  more: Partial<Omit<StateVariable, "name" | "type">> = {},
): StateVariable {
  return { name, type, evented: false, ...more };
}
