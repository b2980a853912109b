/** Holds each answer to the contract as it leaves: its status, headers, media type and body. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { RequestHandler, Response as ExpressResponse } from 'express';
import type { Contract, Header, Operation, Response } from './contract.ts';
import { sendProblem } from './problems.ts';

/**
 * Turns an answer that leaves the contract into a 500, whose cause the log names; one that is on its way already breaks
 * off. Pages, and what OPTIONS is answered with, are not in the contract and pass.
 */
export function holdToContract(contract: Contract): RequestHandler {
  const faultsOf = checkOf(contract);
  return (req, res, next) => {
    const end = res.end.bind(res) as (...given: unknown[]) => typeof res;
    res.end = (...given: unknown[]) => {
      // What replaces it is not looked at again.
      res.end = end;
      const faults = faultsOf(res, given[0]);
      if (faults.length === 0) return end(...given);
      res.err = new Error(`the answer leaves the contract: ${faults.join('; ')}`);
      if (res.headersSent) return res.destroy();
      sendProblem(contract, req, res, 500, { detail: 'The answer was not as the contract has it.' });
      return res;
    };
    next();
  };
}

function checkOf({ document, headers, unmatched }: Contract): (res: ExpressResponse, body: unknown) => string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  const compiled = new Map<object, ValidateFunction>();

  function faultsOf(schema: object, value: unknown, place: string): string[] {
    // Beside the schema the components, to which it refers.
    const { components } = document;
    const validate = compiled.get(schema) ?? ajv.compile({ ...schema, components });
    compiled.set(schema, validate);
    return validate(value) ? [] : [`${place} ${ajv.errorsText(validate.errors, { dataVar: '' })}`];
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

  return (res, body) => {
    const operation = res.locals.operation as Operation | undefined;
    const type = res.get('Content-Type');
    if (!operation && !type?.startsWith('application/problem+json')) return [];
    const response = (operation?.responses ?? unmatched).get(res.statusCode);
    if (!response) return [`${operation?.operationId ?? 'an unknown address'} has no ${res.statusCode}`];
    return [
      ...[...headers].flatMap((name) => headerFaults(name, response.headers.get(name), res.get(name))),
      ...bodyFaults(response, type, body),
    ];
  };
}
