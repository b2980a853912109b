/**
 * Part of scripts/check-manifests.sh: holds every object of some manifests to the schema of its kind, also where others than
 * Kubernetes have made that, as an API server would that has them all. Rules in CEL and webhooks run only there.
 *
 *   node scripts/dist/check-kinds.js FOLDER FILE…        FOLDER/node_modules has the packages that know the kinds
 *
 * Prints one line for each fault; exit code 1 when there is one.
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

/** Who knows the kinds of a group; those of Kubernetes, kubernetes-models. */
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
const faults = [...(await Promise.all(objects.map(faultOf))).flat(), ...fieldsTooMany()];
for (const fault of faults) console.log(fault);
process.exit(faults.length > 0 ? 1 : 0);

/** What its kind's validator, which passes over fields that it does not know, has against it. */
async function faultOf(object: Manifest): Promise<string[]> {
  const path = resolve(folder, 'node_modules', `${moduleOf(object)}.js`);
  const models = (await import(pathToFileURL(path).href).catch(() => ({}))) as Record<string, Model | undefined>;
  const Model = models[object.kind];
  if (!Model) return [`${describe(object)}: no package knows this kind: mend it, or add one to check-manifests.sh`];
  try {
    new Model(withoutFile(object)).validate();
    return [];
  } catch (error) {
    return [`${describe(object)}: ${(error as Error).message}`];
  }
}

/** TypeScript refuses, at every depth of a literal, the fields that its type does not have. */
function fieldsTooMany(): string[] {
  const source = resolve(folder, 'objects.mts');
  // One line for each.
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

/** Has a kind's validator, and its type. */
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
