// The operator's side of the daemon, over its Unix socket.
import { request } from "node:http";

export class Http {
  #socketPath;

  /** @param {string} socketPath */
  constructor(socketPath) {
    this.#socketPath = socketPath;
  }

  /** @param {string} path */
  get(path) {
    return this.#send("GET", path, null, {});
  }

  /** @param {string} path @param {object | null} body @param {Record<string, string>} headers */
  post(path, body, headers) {
    return this.#send("POST", path, body, headers);
  }

  /** @param {string} path @param {object} body */
  patch(path, body) {
    return this.#send("PATCH", path, body, {});
  }

  /** @param {string} path */
  delete(path) {
    return this.#send("DELETE", path, null, {});
  }

  /**
   * @param {string} method @param {string} path @param {object | null} body @param {Record<string, string>} headers
   * @returns {Promise<{ status: number; document: any }>}
   */
  #send(method, path, body, headers) {
    return new Promise((resolve, reject) => {
      const type = body === null ? {} : { "content-type": "application/json" };
      const options = {
        socketPath: this.#socketPath,
        method,
        path,
        headers: { host: "localhost", ...type, ...headers },
      };
      const sent = request(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, document: parsed(text) }));
      });
      sent.on("error", reject);
      sent.end(body === null ? undefined : JSON.stringify(body));
    });
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
