/** A contract, read once at start: what the service serves, routes and validates by. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Contract {
  /** The document as it is served at `/openapi.yaml`. */
  yaml: string;
  /** The same, parsed; served at `/openapi.json`. */
  document: Document;
  /** Under which paths the service answers, from `servers`: `['/user', '']`. */
  basePaths: string[];
  /** Each kind of problem that the service can answer with, by name: the examples of the contract's responses. */
  problems: Map<string, ProblemKind>;
}

export interface ProblemKind {
  name: string;
  title: string;
  status: number;
  /** What it means and what to do, in Markdown. */
  description: string;
  example: Record<string, unknown>;
}

/** The parts of an OpenAPI 3.1 document that the runtime reads. */
export interface Document {
  openapi: string;
  info: { title: string; version: string; summary: string; description: string };
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  externalDocs: { url: string; description: string };
  paths: Record<string, Record<string, Operation | undefined>>;
  components: { parameters?: Record<string, Parameter>; responses: Record<string, Response> };
}

export interface Operation {
  operationId: string;
  summary: string;
  parameters?: (Parameter | { $ref: string })[];
  requestBody?: { content: Record<string, { examples?: Record<string, { value: unknown }> }> };
  responses: Record<string, Response | { $ref: string }>;
}

export interface Parameter {
  name: string;
  in: string;
  schema: { type?: string };
}

interface Response {
  description: string;
  content?: Record<string, { examples?: Record<string, { value: Record<string, unknown> }> }>;
}

/** Reads a bundled contract. Throws when the file cannot be read or is not YAML. */
export function readContract(file: URL): Contract {
  const yaml = readFileSync(file, 'utf8');
  const document = parse(yaml) as Document;
  return {
    yaml,
    document,
    basePaths: document.servers.map(({ url }) => url.replace(/\/$/, '')),
    problems: new Map(Object.values(document.components.responses).flatMap(problemKinds)),
  };
}

/** The parameters of an operation, each looked up where it is only referred to. */
export function parametersOf({ document }: Contract, { parameters = [] }: Operation): Parameter[] {
  return parameters.map((parameter) => {
    if (!('$ref' in parameter)) return parameter;
    const found = document.components.parameters?.[parameter.$ref.replace('#/components/parameters/', '')];
    if (!found) throw new Error(`the contract has no parameter ${parameter.$ref}`);
    return found;
  });
}

function problemKinds({ description, content }: Response): [string, ProblemKind][] {
  const examples = content?.['application/problem+json']?.examples ?? {};
  return Object.entries(examples).map(([name, { value: example }]) => [
    name,
    { name, title: String(example.title), status: Number(example.status), description, example },
  ]);
}
