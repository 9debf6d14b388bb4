import type { ServiceData } from "../message.ts";
import type { Reader } from "../reader.ts";
import type { RdataCodec } from "./codec.ts";
import { isParameterValue, parameterText, parseParameter } from "./svc-parameter.ts";
import { nameField } from "./text.ts";

type Parameters = ServiceData["parameters"];

const MANDATORY = 0;

/** RFC 9460 §2.2, of both types. */
export function serviceCodec(kind: ServiceData["kind"]): RdataCodec<ServiceData> {
  return {
    form: 'a priority, a name and parameters, as in 1 host.example.com alpn="h2,h3" port=8443',
    read(reader) {
      const [priority, target] = [reader.u16(), reader.wholeName()];
      const parameters = readParameters(reader);
      if (!keepsItsWord(parameters)) reader.fault("a service binding with a mandatory parameter that it lacks");
      return { kind, priority, target, parameters };
    },
    write(writer, { priority, target, parameters }) {
      writer.u16(priority);
      writer.wholeName(target.wire);
      for (const { key, value } of parameters) {
        writer.u16(key);
        writer.u16(value.length);
        writer.octets(value);
      }
    },
    text: ({ priority, target, parameters }) =>
      [priority, nameField(target), ...parameters.map(({ key, value }) => parameterText(key, value))].join(" "),
    parse(fields) {
      const [priority, target] = [fields.number(0xffff), fields.name()];
      const parameters: Parameters[number][] = [];
      while (fields.more) parameters.push(parseParameter(fields.field()) ?? fields.wrong());
      parameters.sort((one, other) => one.key - other.key);
      const twice = parameters.some(({ key }, index) => key === parameters[index + 1]?.key);
      if (twice || !keepsItsWord(parameters)) fields.wrong();
      return { kind, priority, target, parameters };
    },
  };
}

function readParameters(reader: Reader): Parameters {
  const parameters: Parameters[number][] = [];
  while (reader.at < reader.end) {
    const key = reader.u16();
    const value = reader.take(reader.u16());
    const last = parameters.at(-1);
    if (last !== undefined && last.key >= key) reader.fault("service parameters that are not in order");
    if (!isParameterValue(key, value)) reader.fault(`a service parameter ${key} that is not of its form`);
    parameters.push({ key, value });
  }
  return parameters;
}

/** §8: what is called mandatory must be there. */
function keepsItsWord(parameters: Parameters): boolean {
  const [first] = parameters;
  if (first?.key !== MANDATORY) return true;
  const keys = new Set(parameters.map(({ key }) => key));
  for (let at = 0; at < first.value.length; at += 2) {
    if (!keys.has(((first.value[at] as number) << 8) | (first.value[at + 1] as number))) return false;
  }
  return true;
}
