/** A contract, read once at start: what the service serves, routes and validates by. */
import { readFileSync } from 'node:fs';
import { CORE_SCHEMA, load } from 'js-yaml';

export interface Contract {
  /** The document as it is served at `/openapi.yaml`. */
  yaml: string;
  /** The same, parsed; served at `/openapi.json`. */
  document: Document;
  /** Under which paths the service answers, from `servers`: `['/user', '']`. */
  basePaths: string[];
  /** Its operations; those whose path has a parameter come last, so that `/tasks/feed` is not taken for a task. */
  operations: Operation[];
  /** Each kind of problem that the service can answer with, by name: the examples of the contract's responses. */
  problems: Map<string, ProblemKind>;
  /** What a request that meets no operation can be answered with, by status: the problems of the contract. */
  unmatched: Map<number, Response>;
  /** The names of all headers that it has of answers. */
  headers: Set<string>;
}

/** An operation, with all that it refers to looked up. */
export interface Operation {
  operationId: string;
  summary: string;
  path: string;
  /** In capitals: `GET`. */
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
  /** By media type. */
  content: Record<string, { schema: object }>;
  /** The headers that it may have, by name. */
  headers: Map<string, Header>;
  /** The headers that it always has with one value, which the contract gives as `const`: names and values in turn. */
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
  /** What it means and what to do, in Markdown. */
  description: string;
  example: Record<string, unknown>;
  headers: Response['headers'];
  constants: Response['constants'];
}

/** The parts of an OpenAPI 3.1 document that the runtime reads, before what is referred to is looked up. */
export interface Document {
  info: { title: string; version: string; summary: string; description: string };
  servers: { url: string }[];
  tags: { name: string; description: string; externalDocs?: Document['externalDocs'] }[];
  /** Which service has which tags; only in the document of the whole system. */
  'x-tagGroups'?: { name: string; tags: string[] }[];
  /** The other service; in the document of the whole system each tag has its own. */
  externalDocs?: { url: string; description: string };
  paths: Record<string, PathItem>;
  components: { responses: Record<string, Referred<DocumentResponse>> };
}

type Referred<Value> = Value | { $ref: string };
type PathItem = { parameters?: Referred<Parameter>[] } & Partial<Record<(typeof methods)[number], DocumentOperation>>;

export interface DocumentOperation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  parameters?: Referred<Parameter>[];
  requestBody?: NonNullable<Operation['requestBody']>;
  responses: Record<string, Referred<DocumentResponse>>;
}

export interface DocumentResponse {
  description: string;
  headers?: Record<string, Referred<Header>>;
  content?: Record<string, { schema: object; examples?: Record<string, Referred<Example>> }>;
}

interface Example {
  description?: string;
  value: Record<string, unknown>;
}

const methods = ['get', 'put', 'post', 'patch', 'delete'] as const;

/** Reads a bundled contract. Throws when the file cannot be read, is not YAML or refers to what it does not have. */
export function readContract(file: URL): Contract {
  const yaml = readFileSync(file, 'utf8');
  // The schema of YAML 1.2, in which a date is a string.
  const document = load(yaml, { schema: CORE_SCHEMA }) as Document;
  const operations = operationsOf(document);
  const responses = Object.values(document.components.responses);
  const problems = responses.flatMap((each) => problemKinds(document, each));
  const unmatched = responses.flatMap((each) =>
    problemKinds(document, each).map(([, { status }]) => [status, responseOf(document, each)] as const),
  );
  const answers = [...operations.flatMap((each) => [...each.responses.values()]), ...unmatched.map(([, each]) => each)];
  return {
    yaml,
    document,
    basePaths: document.servers.map(({ url }) => url.replace(/\/$/, '')),
    operations,
    problems: new Map(problems),
    unmatched: new Map(unmatched),
    headers: new Set(answers.flatMap(({ headers }) => [...headers.keys()])),
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

function parameterOf(document: Document, referred: Referred<Parameter>): Parameter {
  const parameter = lookUp(document, referred);
  return { ...parameter, schema: lookUp(document, parameter.schema) };
}

function responseOf(document: Document, referred: Referred<DocumentResponse>): Response {
  const { description, content = {}, ...response } = lookUp(document, referred);
  const headers = Object.entries(response.headers ?? {}).map(([name, each]) => [name, lookUp(document, each)] as const);
  const constants = headers.flatMap(([name, { required, schema }]) =>
    required && schema.const !== undefined ? [name, schema.const] : [],
  );
  return { description, content, headers: new Map(headers), constants };
}

function problemKinds(document: Document, referred: Referred<DocumentResponse>): [string, ProblemKind][] {
  const { content } = lookUp(document, referred);
  const { description, headers, constants } = responseOf(document, referred);
  return Object.entries(content?.['application/problem+json']?.examples ?? {}).map(([name, each]) => {
    const { value: example, ...own } = lookUp(document, each);
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

/** What a JSON Pointer of the document refers to (`#/components/…`), or what stands there itself. */
export function lookUp<Value extends object>(document: Document, value: Referred<Value>): Value {
  if (!('$ref' in value)) return value;
  const found = value.$ref
    .split('/')
    .slice(1)
    .reduce<unknown>((parent, key) => (parent as Record<string, unknown> | undefined)?.[key], document);
  if (!found) throw new Error(`the contract has no ${value.$ref}`);
  return lookUp(document, found as Referred<Value>);
}
