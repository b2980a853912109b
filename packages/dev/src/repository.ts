/** The repository: its folder, its services and their contracts. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, createConfig } from '@redocly/openapi-core';

export type Json = Record<string, unknown>;

/** The folder of the repository. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The names of the services: the folders of `services/`. */
export const services = readdirSync(join(root, 'services')).filter((name) =>
  existsSync(join(root, 'services', name, 'package.json')),
);

/** A contract in one document. `dereference` puts what is referred to in its place. Throws when it cannot be read. */
export async function bundleContract(ref: string, dereference = false): Promise<Json> {
  const { bundle: document, problems } = await bundle({ ref, config: await createConfig({}), dereference });
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((e) => `${ref}: ${e.message}`).join('\n'));
  return document.parsed as Json;
}
