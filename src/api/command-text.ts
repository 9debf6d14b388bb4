import type { Command } from "../reducers/decide/command.ts";

/** An operator's command for the request log. */
export function commandText(command: Command): string {
  switch (command.type) {
    case "port.add": {
      const { protocol, externalPort, count, internalAddress, internalPort, lifetime } = command;
      const ports = count === 1 ? `${externalPort}` : `${externalPort}-${externalPort + count - 1}`;
      const end = lifetime === null ? "" : ` for ${lifetime} s`;
      return `port add ${protocol} ${ports} → ${internalAddress}:${internalPort}${end}`;
    }
    case "port.edit": {
      const { type: _, id, ...fields } = command;
      const changes = Object.entries(fields).map(([field, value]) => `${field} ${String(value)}`);
      return `port edit ${id}: ${changes.join(", ")}`;
    }
    case "port.remove":
    case "port.keep":
    case "port.block":
      return `${command.type.replace(".", " ")} ${command.id}`;
    case "port.unblock":
      return `port unblock ${command.protocol} ${command.internalPort} of ${command.device}`;
    case "port.batch":
      return command.changes.map(commandText).join("; ");
    case "reconciler.pause":
    case "reconciler.resume":
      return `${command.type.replace(".", " ")} ${command.name}`;
    case "declaration.apply":
      return `apply the declaration ${command.declaration.name}${command.prune ? ", removing what is not in it" : ""}`;
    case "token.create":
      return `token add ${command.name} for ${command.scopes.join(", ")}`;
    case "token.revoke":
      return `token remove ${command.id}`;
    case "change.revert":
      return `revert ${command.change.records[0]?.seq}`;
    case "confirmation.give":
      return `confirm ${command.id}`;
    default:
      return command.type;
  }
}
