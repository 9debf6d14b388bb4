import { connect } from "node:net";

/** What anybody with a right to a HAProxy's admin socket can do: one command, and its answer. */
export function askHaproxy(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(path, () => socket.write(`${command}\n`));
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer.trim()));
  });
}
