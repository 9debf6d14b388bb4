import { recordWithId } from "../reducers/dns-record.ts";
import { tableGet } from "../lib/table.ts";
import type { Command } from "../reducers/decide/command.ts";
import { portName } from "../reducers/objects/port.ts";
import type { State } from "../reducers/state.ts";

/** An operator's command for the request log, in the words of the command line. */
export function commandText(command: Command, state: State): string {
  switch (command.type) {
    case "port.add": {
      const { protocol, externalPort, count, internalAddress, internalPort, lifetime } = command;
      const ports = count === 1 ? `${externalPort}` : `${externalPort}-${externalPort + count - 1}`;
      const end = lifetime === null ? "" : ` for ${lifetime} s`;
      const to = `${internalAddress}:${internalPort}${end}`;
      if (typeof command.name === "string") return `route add ${command.name} on ${ports} → ${to}`;
      return `port add ${protocol} ${ports} → ${to}`;
    }
    case "port.edit": {
      const { type: _, id, ...fields } = command;
      const changes = Object.entries(fields).map(([field, value]) => `${field} ${valueText(value)}`);
      return `port edit ${nameOf(id, state)}: ${changes.join(", ")}`;
    }
    case "port.remove":
    case "port.keep":
    case "port.block":
      return `${command.type.replace(".", " ")} ${nameOf(command.id, state)}`;
    case "port.unblock":
      return `port unblock ${command.protocol} ${command.internalPort} of ${command.device}`;
    case "port.batch":
      return command.changes.map((each) => commandText(each, state)).join("; ");
    case "subnet.add":
      return `subnet add ${command.name}${command.prefix === null ? "" : ` ${command.prefix}`}`;
    case "device.add":
      return `device add ${command.name}, a ${command.kind}`;
    case "subnet.edit":
    case "device.edit":
      return editText(command, state);
    case "subnet.remove":
    case "device.remove":
      return `${command.type.replace(".", " ")} ${nameOf(command.id, state)}`;
    case "device.allow": {
      const { id, protocol, internalPort, allowed } = command;
      return `device ${allowed ? "allow" : "deny"} ${nameOf(id, state)} ${internalPort}/${protocol}`;
    }
    case "record.add":
      return `dns add ${command.name} ${command.recordType} ${command.value}`;
    case "record.edit":
    case "record.remove": {
      const found = recordWithId(state, command.id);
      const what = found === undefined ? command.id : `${found.holder.name} ${found.record.type} ${found.record.value}`;
      return `dns ${command.type.slice("record.".length)} ${what}`;
    }
    case "name.allow":
      return `device ${command.allowed ? "allow" : "deny"} ${nameOf(command.id, state)} ${command.name}`;
    case "reconciler.pause":
    case "reconciler.resume":
      return `${command.type.replace(".", " ")} ${command.name}`;
    case "declaration.apply":
      return `apply the declaration ${command.declaration.name}${command.prune ? ", removing what is not in it" : ""}`;
    case "token.create":
      return `token add ${command.name} for ${command.scopes.join(", ")}`;
    case "token.revoke":
      return `token remove ${state.access.tokens[command.id]?.name ?? command.id}`;
    case "change.revert":
      return `revert ${command.change.records[0]?.seq}`;
    case "confirmation.give":
      return `confirm ${command.id}`;
    default:
      return command.type;
  }
}

/** Its keys are new, or not: which they are is nobody's matter. */
function editText(command: Extract<Command, { type: "subnet.edit" | "device.edit" }>, state: State): string {
  const fields = Object.entries(command).flatMap(([field, value]) => {
    if (field === "type" || field === "id" || field === "routes") return [];
    if (field === "publicKey" || field === "presharedKeySecret" || field === "dnsKeySecret") return [];
    if (field === "privateKeySecret") return [value === null ? "no private key" : "new keys"];
    return [`${field} ${valueText(value)}`];
  });
  return `${command.type.replace(".", " ")} ${nameOf(command.id, state)}: ${fields.join(", ")}`;
}

const valueText = (value: unknown): string =>
  value === null ? "none" : typeof value === "string" ? value : JSON.stringify(value);

function nameOf(id: string, state: State): string {
  const mapping = tableGet(state.mappings, id);
  if (mapping !== undefined) return portName(mapping);
  return tableGet(state.devices, id)?.name ?? state.subnets[id]?.name ?? id;
}
