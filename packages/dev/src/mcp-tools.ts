/** The operations of the contracts as tools of the Model Context Protocol. */
import { join } from 'node:path';
import type { Tool } from '@modelcontextprotocol/server';
import { bundleContract, root, services } from './repository.ts';

export interface Toolset {
  version: string;
  /** The descriptions of the contracts, in Markdown. */
  instructions: string;
  operations: Operation[];
}

/** A tool and its HTTP request. */
export interface Operation {
  tool: Tool;
  method: string;
  /** From the root of the system: `/user/users/{userId}`. */
  path: string;
  parameters: Part[];
  /** The media type of the request body. */
  mediaType: string | undefined;
  /** The description of the successful response. */
  success: string;
  /** The headers of the successful response. */
  headers: Part[];
  hasBody: boolean;
}

/** A parameter, header or body of a request or response. */
export interface Part {
  name: string;
  in: string;
  required: boolean;
  schema: Json;
}

export type Json = Record<string, unknown>;

/** The headers that an agent uses; the others are for caches, logs and event streams. */
const exposedHeaders = ['If-Match', 'Idempotency-Key', 'ETag', 'Idempotent-Replayed'];

/** The semantics of the methods (RFC 9110, section 9.2). A POST of these contracts only adds. */
const annotations = {
  get: { readOnlyHint: true, openWorldHint: false },
  post: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  patch: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  delete: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
};
type Method = keyof typeof annotations;
const methods = Object.keys(annotations) as Method[];

/** Reads `api/`. Throws an Error with the location when a contract cannot be read. */
export async function readToolset(): Promise<Toolset> {
  const contracts = await Promise.all(services.map(readContract));
  const operations = contracts.flatMap((contract) => contract.operations);
  const ids = operations.map(({ operationId }) => operationId);
  // Both contracts have `getHealth`.
  const nameOf = ({ operationId, service }: ContractOperation) =>
    ids.indexOf(operationId) === ids.lastIndexOf(operationId)
      ? operationId
      : `${operationId}Of${toPascalCase(service)}`;
  return {
    version: contracts[0]?.info.version ?? '',
    instructions: contracts.map(({ info }) => info.description).join('\n'),
    operations: operations.map((operation) => operationOf(operation, nameOf(operation))),
  };
}

function toPascalCase(service: string): string {
  return service.replace(/(?:^|-)(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

async function readContract(service: string): Promise<{ info: Contract['info']; operations: ContractOperation[] }> {
  const file = join(root, 'api', `${service}.yaml`);
  const { info, servers, paths } = (await bundleContract(file, true)) as unknown as Contract;
  const prefix = servers[0]?.url.replace(/\/$/, '') ?? '';
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      if (!operation) return [];
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
      return [{ ...operation, service, method, path: prefix + path, parameters }];
    }),
  );
  return { info, operations };
}

function operationOf(operation: ContractOperation, name: string): Operation {
  const { method, path, summary, description, requestBody, responses } = operation;
  const parameters = operation.parameters.filter(isExposed).map(partOf);
  const [mediaType, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const [, response] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  const headers = Object.entries(response?.headers ?? {})
    .map(([name, header]) => ({ ...header, name, in: 'header' }))
    .filter(isExposed)
    .map(partOf);
  const json = response?.content?.['application/json'];
  const body = (schema: Json, required = true): Part => ({ name: 'body', in: 'body', required, schema: plain(schema) });
  return {
    tool: {
      ...{ name, title: summary, description: `${summary}\n\n${description}`, annotations: annotations[method] },
      inputSchema: objectOf(content ? [...parameters, body(content.schema, requestBody?.required)] : parameters),
      ...(json && { outputSchema: objectOf([...headers, body(json.schema)]) }),
    },
    ...{ method: method.toUpperCase(), path, parameters, mediaType },
    ...{ success: response?.description ?? '', headers, hasBody: json !== undefined },
  };
}

function isExposed(parameter: Parameter): boolean {
  return parameter.in !== 'header' || exposedHeaders.includes(parameter.name);
}

function partOf({ name, in: place, required = false, description, example, schema }: Parameter): Part {
  return { name, in: place, required, schema: plain({ ...schema, description, example }) };
}

function objectOf(parts: Part[]): Tool['inputSchema'] {
  return {
    type: 'object',
    properties: Object.fromEntries(parts.map(({ name, schema }) => [name, schema])),
    required: parts.filter(({ required }) => required).map(({ name }) => name),
    additionalProperties: false,
  } as Tool['inputSchema'];
}

/** Replaces OpenAPI's `example` by JSON Schema's `examples`. */
function plain(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('example' in value)) return value;
    const { example, ...rest } = value;
    return { ...rest, examples: [example] };
  }) as Json;
}

/** The used parts of a dereferenced OpenAPI document. */
interface Contract {
  info: { version: string; description: string };
  servers: { url: string }[];
  paths: Record<string, { parameters?: Parameter[] } & Partial<Record<Method, DocumentOperation>>>;
}

interface DocumentOperation {
  operationId: string;
  summary: string;
  description: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, { schema: Json }> };
  responses: Record<
    string,
    {
      description: string;
      headers?: Record<string, Omit<Parameter, 'name' | 'in'>>;
      content?: Record<string, { schema: Json }>;
    }
  >;
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description: string;
  example?: unknown;
  schema: Json;
}

interface ContractOperation extends DocumentOperation {
  service: string;
  method: Method;
  path: string;
  parameters: Parameter[];
}
