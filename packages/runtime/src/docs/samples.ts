/** Code samples in curl and TypeScript, made from the contract's examples. */
import { inspect } from 'node:util';
import type { Document, Operation } from '../contract/document.ts';

/** An item of Redoc's `x-codeSamples`. */
export interface Sample {
  lang: string;
  label: string;
  source: string;
}

/** assets/pages.js replaces `$URL` with the page's origin and prefix. */
export function samplesOf(operation: Operation, { info }: Document): Sample[] {
  const typesFile = info.title.toLowerCase().replaceAll(' ', '-');
  return [
    { lang: 'Shell', label: 'curl', source: curl(operation) },
    { lang: 'TypeScript', label: 'TypeScript', source: typescript(operation, typesFile) },
  ];
}

export function curl(operation: Operation): string {
  const { method, mediaType, path: pathParameters, header, body } = requestOf(operation);
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(pathParameters?.[name])),
  );
  return [
    method === 'GET' ? `curl $URL${path}` : `curl -X ${method} $URL${path}`,
    ...Object.entries({ ...(mediaType && { 'Content-Type': mediaType }), ...header }).map(
      ([name, value]) => `-H ${shellQuote(`${name}: ${value}`)}`,
    ),
    ...(body === undefined ? [] : [`-d ${shellQuote(JSON.stringify(body))}`]),
  ].join(' \\\n  ');
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Prints the response body; throws on a problem. */
function typescript(operation: Operation, typesFile: string): string {
  const { method, path, header, body } = requestOf(operation);
  const params = { ...(path && { path }), ...(header && { header }) };
  const request = { ...((path ?? header) && { params }), ...(body !== undefined && { body }) };
  const isEmpty = Object.keys(request).length === 0;
  const call = `api.${method}('${operation.path}'${isEmpty ? '' : `, ${inspect(request, { depth: null })}`})`;
  const hasBody = [...operation.responses].some(
    ([status, { content }]) => status < 300 && Object.keys(content).length > 0,
  );
  return `import createClient from 'openapi-fetch';
import type { paths } from './generated/${typesFile}.d.ts';

const api = createClient<paths>({ baseUrl: '$URL' });
const { ${hasBody ? 'data, ' : ''}error } = await ${call};
if (error) throw new Error(error.detail);
${hasBody ? 'console.log(data);\n' : ''}`;
}

/** The path parameters, the first body example and, for updates, If-Match. */
function requestOf({ method, parameters, requestBody }: Operation) {
  const examplesOf = (isIncluded: (parameter: Operation['parameters'][number]) => boolean) => {
    const entries = parameters.filter(isIncluded).map(({ name, example }) => [name, example] as const);
    return entries.length > 0 ? (Object.fromEntries(entries) as Record<string, unknown>) : undefined;
  };
  const [mediaType, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const [example] = Object.values(media?.examples ?? {});
  return {
    method,
    mediaType,
    path: examplesOf((parameter) => parameter.in === 'path'),
    header: examplesOf((parameter) => parameter.name === 'If-Match'),
    body: example?.value,
  };
}
