import { UpnpDecodeError } from "./error.ts";
import type { ActionDefinition, Argument, ServiceDefinition, StateVariable } from "./definition.ts";
import { childOf, readXml, textOf, XML_DECLARATION, type XmlElement, type XmlLimits, xmlElement } from "./xml.ts";

const SERVICE = "urn:schemas-upnp-org:service-1-0";
const LIMITS: XmlLimits = { bytes: 128 * 1024, depth: 12, elements: 4096 };

export function encodeScpd({ actions, variables }: ServiceDefinition): string {
  const list = actions.map(actionText).join("");
  const table = variables.map(variableText).join("");
  return (
    `${XML_DECLARATION}<scpd xmlns="${SERVICE}"><specVersion><major>1</major><minor>0</minor></specVersion>` +
    `<actionList>${list}</actionList><serviceStateTable>${table}</serviceStateTable></scpd>\n`
  );
}

/** Those that go in stand before those that come out. */
function actionText({ name, in: given, out }: ActionDefinition): string {
  const args = [...given.map((each) => argumentText(each, "in")), ...out.map((each) => argumentText(each, "out"))];
  const list = args.length === 0 ? "" : `<argumentList>${args.join("")}</argumentList>`;
  return `<action>${xmlElement("name", name)}${list}</action>`;
}

function argumentText({ name, variable }: Argument, direction: "in" | "out"): string {
  const inside = [
    xmlElement("name", name),
    xmlElement("direction", direction),
    xmlElement("relatedStateVariable", variable),
  ];
  return `<argument>${inside.join("")}</argument>`;
}

function variableText({ name, type, evented, values, range, initial }: StateVariable): string {
  const parts = [xmlElement("name", name), xmlElement("dataType", type)];
  if (initial !== undefined) parts.push(xmlElement("defaultValue", initial));
  if (values !== undefined) {
    const list = values.map((value) => xmlElement("allowedValue", value)).join("");
    parts.push(`<allowedValueList>${list}</allowedValueList>`);
  }
  if (range !== undefined) {
    const ends = `${xmlElement("minimum", range.min)}${xmlElement("maximum", range.max)}`;
    parts.push(`<allowedValueRange>${ends}</allowedValueRange>`);
  }
  return `<stateVariable sendEvents="${evented ? "yes" : "no"}">${parts.join("")}</stateVariable>`;
}

/** The actions of a service, and what each takes and gives: all that calling one needs. */
export function decodeScpd(document: Uint8Array): readonly ActionDefinition[] {
  const root = readXml(document, LIMITS);
  if (root.name !== "scpd") throw new UpnpDecodeError("not an SCPD document");
  return (childOf(root, "actionList")?.children ?? []).map(readAction);
}

function readAction(element: XmlElement): ActionDefinition {
  const args = childOf(element, "argumentList")?.children ?? [];
  const going = (direction: string): Argument[] =>
    args.flatMap((argument) => {
      const [name, way, variable] = [
        textOf(argument, "name"),
        textOf(argument, "direction"),
        textOf(argument, "relatedStateVariable"),
      ];
      if (name === null || name === "" || variable === null) throw new UpnpDecodeError("an argument without a name");
      return way === direction ? [{ name, variable }] : [];
    });
  const name = textOf(element, "name");
  if (name === null || name === "") throw new UpnpDecodeError("an action without a name");
  return { name, in: going("in"), out: going("out") };
}
