/** A contract, parsed once at start. */
import { readFileSync } from 'node:fs';
import { CORE_SCHEMA, load } from 'js-yaml';

export interface Contract {
  yaml: string;
  document: Document;
  /** The paths of `servers`: `['/user', '']`. */
  basePaths: string[];
  operations: Operation[];
  /** The problems of the service by name, from the examples of the contract's responses. */
  problems: Map<string, ProblemKind>;
  /** Responses to requests that match no operation, by status. */
  unmatched: Map<number, Response>;
  headers: Set<string>;
}

export interface Operation {
  operationId: string;
  summary: string;
  path: string;
  method: string;
  tags: string[];
  parameters: Parameter[];
  requestBody?: { content: Record<string, { schema: object; examples?: Record<string, Example> }> };
  responses: Map<number, Response>;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema: { type?: string };
  example?: unknown;
}

export interface Response {
  description: string;
  content: Record<string, { schema: object }>;
  headers: Map<string, Header>;
  /** Headers with a `const` value in the contract: alternating names and values. */
  constants: string[];
}

export interface Header {
  required?: boolean;
  schema: { type: string; const?: string };
}

export interface ProblemKind {
  name: string;
  title: string;
  status: number;
  description: string;
  example: Record<string, unknown>;
  headers: Response['headers'];
  constants: Response['constants'];
}

/** The parts of an OpenAPI 3.1 document that the runtime reads, with references. */
export interface Document {
  info: { title: string; version: string; summary: string; description: string };
  servers: { url: string }[];
  tags: { name: string; description: string; externalDocs?: Document['externalDocs'] }[];
  /** The tags of each service; only in the document of the whole system. */
  'x-tagGroups'?: { name: string; tags: string[] }[];
  externalDocs?: { url: string; description: string };
  paths: Record<string, PathItem>;
  components: { responses: Record<string, Reference<DocumentResponse>> };
}

type Reference<Value> = Value | { $ref: string };
type PathItem = { parameters?: Reference<Parameter>[] } & Partial<Record<(typeof methods)[number], DocumentOperation>>;

export interface DocumentOperation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  parameters?: Reference<Parameter>[];
  requestBody?: NonNullable<Operation['requestBody']>;
  responses: Record<string, Reference<DocumentResponse>>;
}

export interface DocumentResponse {
  description: string;
  headers?: Record<string, Reference<Header>>;
  content?: Record<string, { schema: object; examples?: Record<string, Reference<Example>> }>;
}

interface Example {
  description?: string;
  value: Record<string, unknown>;
}

const methods = ['get', 'put', 'post', 'patch', 'delete'] as const;

/** Reads a bundled contract. Throws when the file cannot be read, is not YAML or has an unresolved reference. */
export function readContract(file: URL): Contract {
  const yaml = readFileSync(file, 'utf8');
  // In the core schema a date is a string.
  const document = load(yaml, { schema: CORE_SCHEMA }) as Document;
  const operations = operationsOf(document);
  const responses = Object.values(document.components.responses);
  const problems = responses.flatMap((each) => problemKinds(document, each));
  const unmatched = responses.flatMap((each) =>
    problemKinds(document, each).map(([, { status }]) => [status, responseOf(document, each)] as const),
  );
  const declared = [
    ...operations.flatMap((each) => [...each.responses.values()]),
    ...unmatched.map(([, each]) => each),
  ];
  return {
    yaml,
    document,
    basePaths: document.servers.map(({ url }) => url.replace(/\/$/, '')),
    operations,
    problems: new Map(problems),
    unmatched: new Map(unmatched),
    headers: new Set(declared.flatMap(({ headers }) => [...headers.keys()])),
  };
}

function operationsOf(document: Document): Operation[] {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const { parameters = [], responses, ...operation } = item[method] ?? {};
      if (!responses) return [];
      return {
        ...(operation as Omit<DocumentOperation, 'responses'>),
        path,
        method: method.toUpperCase(),
        parameters: [...(item.parameters ?? []), ...parameters].map((each) => parameterOf(document, each)),
        responses: new Map(
          Object.entries(responses).map(([status, each]) => [Number(status), responseOf(document, each)]),
        ),
      };
    }),
  );
  return operations.sort((one, other) => Number(one.path.includes('{')) - Number(other.path.includes('{')));
}

function parameterOf(document: Document, reference: Reference<Parameter>): Parameter {
  const parameter = resolve(document, reference);
  return { ...parameter, schema: resolve(document, parameter.schema) };
}

function responseOf(document: Document, reference: Reference<DocumentResponse>): Response {
  const { description, content = {}, ...response } = resolve(document, reference);
  const headers = Object.entries(response.headers ?? {}).map(
    ([name, each]) => [name, resolve(document, each)] as const,
  );
  const constants = headers.flatMap(([name, { required, schema }]) =>
    required && schema.const !== undefined ? [name, schema.const] : [],
  );
  return { description, content, headers: new Map(headers), constants };
}

function problemKinds(document: Document, reference: Reference<DocumentResponse>): [string, ProblemKind][] {
  const { content } = resolve(document, reference);
  const { description, headers, constants } = responseOf(document, reference);
  return Object.entries(content?.['application/problem+json']?.examples ?? {}).map(([name, each]) => {
    const { value: example, ...own } = resolve(document, each);
    const { title, status } = example;
    const kind = {
      name,
      title: String(title),
      status: Number(status),
      description,
      ...own,
      example,
      headers,
      constants,
    };
    return [name, kind];
  });
}

/** Resolves a reference (`#/components/…`); returns any other value as it is. */
export function resolve<Value extends object>(document: Document, value: Reference<Value>): Value {
  if (!('$ref' in value)) return value;
  const found = value.$ref
    .split('/')
    .slice(1)
    .reduce<unknown>((parent, key) => (parent as Record<string, unknown> | undefined)?.[key], document);
  if (!found) throw new Error(`the contract has no ${value.$ref}`);
  return resolve(document, found as Reference<Value>);
}
