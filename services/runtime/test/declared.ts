/** Headers: an answer has each that the contract requires of it, and of those that the contract knows no other. */
import type { IncomingHttpHeaders } from 'node:http';
import { expect } from '@jest/globals';
import { readContract, type Contract, type Operation } from '@task-manager/runtime/contract';

interface Header {
  required?: boolean;
  schema: { type: string; const?: string; pattern?: string; minimum?: number; maximum?: number };
}
type Headers = Record<string, Header>;

/** What a contract says of headers, by the operation or the kind of problem, and by the status. */
export interface Declarations {
  contract: Contract;
  known: Set<string>;
  operations: Map<string, Map<number, Headers>>;
  problems: Map<number, Headers>;
}

const read = new Map<string, Declarations>();

export function declarationsOf(name: string): Declarations {
  const declarations = read.get(name) ?? readDeclarations(name);
  read.set(name, declarations);
  return declarations;
}

/** Fails when an answer of this service does not have the headers that it should have. */
export function expectDeclaredHeaders(
  name: string,
  method: string,
  url: string,
  answer: { status: number; headers: IncomingHttpHeaders },
): void {
  const declarations = declarationsOf(name);
  const { status } = answer;
  const request = `${method} ${url}`;
  const operation = operationFor(declarations.contract, method, url);
  const declared = operation
    ? declarations.operations.get(operation.operationId)?.get(status)
    : declarations.problems.get(status);
  if (operation && !declared) throw new Error(`${request}: the contract has no ${status}`);
  // A page, or what OPTIONS is answered with: of these the contract says nothing.
  if (!declared) return;
  const wrong = [...declarations.known].filter((each) => !fits(declared[each], answer.headers[each.toLowerCase()]));
  expect({ request, status, wrong: pick(answer.headers, wrong) }).toEqual({ request, status, wrong: {} });
}

function fits(header: Header | undefined, value: string | string[] | undefined): boolean {
  if (value === undefined) return header?.required !== true;
  if (header === undefined || typeof value !== 'string') return false;
  const { type, const: constant = value, pattern = '', minimum = -Infinity, maximum = Infinity } = header.schema;
  if (type === 'integer') return /^\d+$/.test(value) && Number(value) >= minimum && Number(value) <= maximum;
  return value === constant && new RegExp(pattern).test(value);
}

function pick(headers: IncomingHttpHeaders, names: string[]) {
  return Object.fromEntries(names.map((name) => [name, headers[name.toLowerCase()] ?? 'missing']));
}

function operationFor({ basePaths, operations }: Contract, method: string, url: string): Operation | undefined {
  const { pathname } = new URL(url);
  const base = basePaths.find((each) => pathname.startsWith(`${each}/`)) ?? '';
  const path = pathname.slice(base.length);
  const sought = method === 'HEAD' ? 'GET' : method;
  const matching = operations.filter((each) => isMatch(each.path, path));
  // `/tasks/feed` is no task: what has no parameter comes first.
  return matching.find((each) => each.path === matching[0]?.path && each.method === sought);
}

function isMatch(template: string, path: string): boolean {
  return new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(path);
}

type Referred<Value> = Value | { $ref: string };
type DocumentResponse = Referred<{ headers?: Record<string, Referred<Header>> }>;

function readDeclarations(name: string): Declarations {
  const contract = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
  const document = contract.document as unknown as {
    paths: Record<string, Record<string, { responses: Record<string, DocumentResponse> }>>;
    components: { responses: Record<string, DocumentResponse> };
  };

  function lookUp<Value extends object>(value: Referred<Value>): Value {
    if (!('$ref' in value)) return value;
    const parts = value.$ref.split('/').slice(1);
    return lookUp(parts.reduce<unknown>((parent, key) => (parent as Headers)[key], document) as Referred<Value>);
  }
  function headersOf(response: DocumentResponse): Headers {
    const { headers = {} } = lookUp(response);
    return Object.fromEntries(Object.entries(headers).map(([each, header]) => [each, lookUp(header)]));
  }

  const operations = new Map(
    contract.operations.map(({ operationId, path, method }) => {
      const responses = document.paths[path]?.[method.toLowerCase()]?.responses ?? {};
      return [
        operationId,
        new Map(Object.entries(responses).map(([status, each]) => [Number(status), headersOf(each)])),
      ] as const;
    }),
  );
  const { NotFound, MethodNotAllowed } = document.components.responses;
  if (!NotFound || !MethodNotAllowed) throw new Error(`the contract of ${name} does not say what meets no operation`);
  const problems = new Map([
    [404, headersOf(NotFound)],
    [405, headersOf(MethodNotAllowed)],
  ]);
  const all = [...[...operations.values()].flatMap((each) => [...each.values()]), ...problems.values()];
  return { contract, known: new Set(all.flatMap((each) => Object.keys(each))), operations, problems };
}
