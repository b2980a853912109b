/** Holds each answer to the contract as it leaves: its status, headers, media type and body. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Contract, Header, Response } from '../contract/document.ts';
import type { Outgoing } from './context.ts';
import type { Reply } from './respond.ts';

/** What in a reply leaves the contract, to be said in the log: nothing, if all is well. */
export type FaultsOf = (res: Outgoing, reply: Reply) => string[];

/** Holds replies to the contract, but for those that are not in it: pages, and what OPTIONS is answered with. */
export function conformance({ document, headers, operations, unmatched }: Contract): FaultsOf {
  // What no operation declares is said of the connection, and so of any request on it: that it is too slow.
  const isDeclared = (status: number) => operations.some(({ responses }) => responses.has(status));
  const always = new Map([...unmatched].filter(([status]) => !isDeclared(status)));
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  const compiled = new Map<object, ValidateFunction>();

  function faultsOf(schema: object, value: unknown, place: string): string[] {
    // Beside the schema the components, to which it refers.
    const { components } = document;
    const validate = compiled.get(schema) ?? ajv.compile({ ...schema, components });
    compiled.set(schema, validate);
    return validate(value) ? [] : [ajv.errorsText(validate.errors, { dataVar: place })];
  }

  function headerFaults(name: string, header: Header | undefined, value: string | undefined): string[] {
    if (value === undefined) return header?.required ? [`${name} is missing`] : [];
    if (!header) return [`${name} is not declared`];
    const isInteger = header.schema.type === 'integer' && /^\d+$/.test(value);
    return faultsOf(header.schema, isInteger ? Number(value) : value, name);
  }

  function bodyFaults({ content }: Response, type: string | undefined, body: unknown): string[] {
    const [mediaType = ''] = (type ?? '').split(';');
    if (body === undefined && (Object.keys(content).length === 0 || mediaType === 'text/event-stream')) return [];
    const schema = content[mediaType]?.schema;
    if (!schema) return [`the media type ${mediaType || '(none)'} is not declared`];
    return faultsOf(schema, JSON.parse(String(body)), 'the body');
  }

  return (res, reply) => {
    const { operation, requestId } = res.locals;
    const response = (operation?.responses ?? unmatched).get(reply.status) ?? always.get(reply.status);
    if (!response) return [`${operation?.operationId ?? 'an unknown address'} has no ${reply.status}`];
    const sent = new Headers({ 'X-Request-Id': requestId });
    reply.headers.forEach((name, index, all) => {
      if (index % 2 === 0) sent.set(name, all[index + 1] ?? '');
    });
    for (const name of res.getHeaderNames()) sent.set(name, String(res.getHeader(name)));
    return [
      ...[...headers].flatMap((name) => headerFaults(name, response.headers.get(name), sent.get(name) ?? undefined)),
      ...bodyFaults(response, sent.get('Content-Type') ?? undefined, reply.body),
    ];
  };
}
