/**
 * Part of scripts/check-manifests.sh: validates each object of the manifests against the schema of its kind, including
 * custom resources, as an API server would. Does not run CEL rules and webhooks.
 *
 *   node scripts/dist/check-kinds.js FOLDER FILE…        FOLDER/node_modules has the packages with the schemas
 *
 * Prints one line for each error. Exits with 1 when there is one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';

interface Manifest {
  file: string;
  apiVersion: string;
  kind: string;
  metadata: { name: string };
}

/** The package with the schemas of an API group; kubernetes-models by default. */
const packages: Record<string, string | undefined> = {
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'postgresql.cnpg.io': '@kubernetes-models/cloudnative-pg',
  'security.istio.io': '@kubernetes-models/istio',
};

const [folder = '', ...files] = process.argv.slice(2);
const objects = files.flatMap((file) =>
  parseAllDocuments(readFileSync(file, 'utf8')).map((document) => ({ ...(document.toJS() as Manifest), file })),
);
const errors = [...(await Promise.all(objects.map(validate))).flat(), ...unknownFields()];
for (const error of errors) console.log(error);
process.exit(errors.length > 0 ? 1 : 0);

/** Runs the validator of its kind, which ignores unknown fields. */
async function validate(object: Manifest): Promise<string[]> {
  const path = resolve(folder, 'node_modules', `${moduleOf(object)}.js`);
  const models = (await import(pathToFileURL(path).href).catch(() => ({}))) as Record<string, Model | undefined>;
  const Model = models[object.kind];
  if (!Model)
    return [
      `${describe(object)}: no package has a schema for this kind: correct it, or add a package to check-manifests.sh`,
    ];
  try {
    new Model(withoutFile(object)).validate();
    return [];
  } catch (error) {
    return [`${describe(object)}: ${(error as Error).message}`];
  }
}

/** Finds unknown fields: TypeScript reports excess properties at every depth of a literal. */
function unknownFields(): string[] {
  const source = resolve(folder, 'objects.mts');
  // One line per object.
  const lines = objects.map(
    (object) => `(${JSON.stringify(withoutFile(object))}) satisfies import('${moduleOf(object)}').I${object.kind};`,
  );
  writeFileSync(source, lines.join('\n'));
  const options = { strict: true, module: ts.ModuleKind.NodeNext, skipLibCheck: true, types: [] };
  return ts.getPreEmitDiagnostics(ts.createProgram([source], options)).map(({ file, start, messageText }) => {
    const object = objects[file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0];
    return `${object ? describe(object) : ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

type Model = new (object: object) => { validate(): void };

/** The module with the validator and the type of a kind. */
function moduleOf({ apiVersion, kind }: Manifest): string {
  const [group = ''] = apiVersion.split('/');
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

function withoutFile(object: Manifest): object {
  return { ...object, file: undefined };
}

function describe({ file, kind, metadata }: Manifest): string {
  return `${file}: ${kind} ${metadata.name}`;
}
