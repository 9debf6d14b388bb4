// Module hooks of failpoint-hook.mjs: wraps one function of one module as it is loaded.

/** @type {import("./failpoints.mjs").Step} */
let step;

/** @param {import("./failpoints.mjs").Step} data */
export function initialize(data) {
  step = data;
}

/**
 * What runs is a bundle, its threads too; its modules, which steps are named by, lie beside it.
 * @param {string} specifier @param {object} context
 * @param {(specifier: string, context: object) => Promise<object>} next
 */
export async function resolve(specifier, context, next) {
  return await next(specifier.replace(/^(file:.*)\/bundle\//, "$1/dist/"), context);
}

/**
 * @param {string} url @param {object} context
 * @param {(url: string, context: object) => Promise<{ source?: string | Uint8Array }>} next
 */
export async function load(url, context, next) {
  const loaded = await next(url, context);
  const isIn = (/** @type {string} */ module) => url.endsWith(`/dist/${module}.js`);
  const edits = (step.edits ?? []).filter(({ module }) => isIn(module));
  if (!isIn(step.module) && edits.length === 0) return loaded;
  let source = Buffer.from(loaded.source ?? "").toString("utf8");
  for (const edit of edits) source = edited(source, edit);
  if (isIn(step.module)) source += wrapping(source);
  return { ...loaded, source };
}

/** @param {string} source */
function wrapping(source) {
  const [name = "", method] = step.of.split(".");
  if (method !== undefined) return `\nportreeveFailpoint.patch(${name}.prototype, "${method}");\n`;
  if (!new RegExp(`export (async )?function ${name}\\(`).test(source))
    throw new Error(`there is no ${name} in ${step.module}`);
  // A function's name is a variable: its importers and the module's own calls see the wrapped one.
  return `\n${name} = portreeveFailpoint.wrap(${name});\n`;
}

/** @param {string} source @param {{ module: string; from: string; to: string }} edit */
function edited(source, { module, from, to }) {
  if (!source.includes(from)) throw new Error(`there is no ${from} in ${module}`);
  return source.replace(from, to);
}
