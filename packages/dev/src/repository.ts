/** The folder of the repository, its services and their contracts. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, createConfig } from '@redocly/openapi-core';

export type Json = Record<string, unknown>;

export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The names of the services: the folders of `services/`. */
export const services = readdirSync(join(root, 'services')).filter((name) =>
  existsSync(join(root, 'services', name, 'package.json')),
);

/** Bundles a contract into one document. `dereference` inlines every `$ref`. Throws when it cannot be read. */
export async function bundleContract(ref: string, dereference = false): Promise<Json> {
  const { bundle: document, problems } = await bundle({ ref, config: await createConfig({}), dereference });
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((e) => `${ref}: ${e.message}`).join('\n'));
  return document.parsed as Json;
}
