/** Validates each response against the contract: its status, headers, media type and body. */
import type { ServerResponse } from 'node:http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Contract, Header, Response } from '../contract/document.ts';
import { contextOf, type Reply } from './context.ts';

export type FindViolations = (res: ServerResponse, reply: Reply) => string[];

/** Pages and responses to OPTIONS are not part of the contract and are not validated. */
export function createResponseValidator({ document, headers, operations, unmatched }: Contract): FindViolations {
  // A status that no operation declares concerns the connection, and so any request: 408, for example.
  const isDeclared = (status: number) => operations.some(({ responses }) => responses.has(status));
  const always = new Map([...unmatched].filter(([status]) => !isDeclared(status)));
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  const compiled = new Map<object, ValidateFunction>();

  function check(schema: object, value: unknown, place: string): string[] {
    const { components } = document;
    const validate = compiled.get(schema) ?? ajv.compile({ ...schema, components });
    compiled.set(schema, validate);
    return validate(value) ? [] : [ajv.errorsText(validate.errors, { dataVar: place })];
  }

  function checkHeader(name: string, header: Header | undefined, value: string | undefined): string[] {
    if (value === undefined) return header?.required ? [`${name} is missing`] : [];
    if (!header) return [`${name} is not declared`];
    const isInteger = header.schema.type === 'integer' && /^\d+$/.test(value);
    return check(header.schema, isInteger ? Number(value) : value, name);
  }

  function checkBody({ content }: Response, type: string | undefined, body: unknown): string[] {
    const [mediaType = ''] = (type ?? '').split(';');
    if (body === undefined && (Object.keys(content).length === 0 || mediaType === 'text/event-stream')) return [];
    const schema = content[mediaType]?.schema;
    if (!schema) return [`the media type ${mediaType || '(none)'} is not declared`];
    return check(schema, JSON.parse(String(body)), 'the body');
  }

  return (res, reply) => {
    const { operation, requestId } = contextOf(res);
    const response = (operation?.responses ?? unmatched).get(reply.status) ?? always.get(reply.status);
    if (!response) return [`${operation?.operationId ?? 'an unknown path'} has no ${reply.status}`];
    const sent = new Headers({ 'X-Request-Id': requestId });
    reply.headers.forEach((name, index, all) => {
      if (index % 2 === 0) sent.set(name, all[index + 1] ?? '');
    });
    // The contract does not declare CORS, which adds `Vary: Origin`.
    const others = res.getHeaderNames().filter((name) => name !== 'vary');
    for (const name of others) sent.set(name, String(res.getHeader(name)));
    return [
      ...[...headers].flatMap((name) => checkHeader(name, response.headers.get(name), sent.get(name) ?? undefined)),
      ...checkBody(response, sent.get('Content-Type') ?? undefined, reply.body),
    ];
  };
}
