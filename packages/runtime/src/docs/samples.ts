/** How to call an operation from a shell and from TypeScript, with what the contract shows as examples. */
import { inspect } from 'node:util';
import type { Document, Operation } from '../contract/document.ts';

/** As Redoc wants it, in `x-codeSamples`. */
export interface Sample {
  lang: string;
  label: string;
  source: string;
}

/** `$URL` in them stands for the address that the page came from: assets/pages.js puts it in. */
export function samplesOf(operation: Operation, { info }: Document): Sample[] {
  const types = info.title.toLowerCase().replaceAll(' ', '-');
  return [
    { lang: 'Shell', label: 'curl', source: curl(operation) },
    { lang: 'TypeScript', label: 'TypeScript', source: typescript(operation, types) },
  ];
}

/** A line for a shell, for longer requests over several lines. */
export function curl(operation: Operation): string {
  const { method, mediaType, path, header, body } = requestOf(operation);
  const address = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path?.[name])));
  return [
    method === 'GET' ? `curl $URL${address}` : `curl -X ${method} $URL${address}`,
    ...Object.entries({ ...(mediaType && { 'Content-Type': mediaType }), ...header }).map(
      ([name, value]) => `-H ${quoted(`${name}: ${value}`)}`,
    ),
    ...(body === undefined ? [] : [`-d ${quoted(JSON.stringify(body))}`]),
  ].join(' \\\n  ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A module that uses the types of `generated/`; it prints the answer's body, and throws when there is a problem. */
function typescript(operation: Operation, types: string): string {
  const { method, path, header, body } = requestOf(operation);
  const params = { ...(path && { path }), ...(header && { header }) };
  const request = { ...((path ?? header) && { params }), ...(body !== undefined && { body }) };
  const isEmpty = Object.keys(request).length === 0;
  const call = `api.${method}('${operation.path}'${isEmpty ? '' : `, ${inspect(request, { depth: null })}`})`;
  const hasBody = [...operation.responses].some(
    ([status, { content }]) => status < 300 && Object.keys(content).length > 0,
  );
  return `import createClient from 'openapi-fetch';
import type { paths } from './generated/${types}.d.ts';

const api = createClient<paths>({ baseUrl: '$URL' });
const { ${hasBody ? 'data, ' : ''}error } = await ${call};
if (error) throw new Error(error.detail);
${hasBody ? 'console.log(data);\n' : ''}`;
}

/** What a person would send: what the path needs, the body, and for a change the version that it is meant for. */
function requestOf({ method, parameters, requestBody }: Operation) {
  const examplesOf = (isSent: (parameter: Operation['parameters'][number]) => boolean) => {
    const sent = parameters.filter(isSent).map(({ name, example }) => [name, example] as const);
    return sent.length > 0 ? (Object.fromEntries(sent) as Record<string, unknown>) : undefined;
  };
  const [mediaType, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const [example] = Object.values(media?.examples ?? {});
  return {
    method,
    mediaType,
    path: examplesOf((each) => each.in === 'path'),
    header: examplesOf((each) => each.name === 'If-Match'),
    body: example?.value,
  };
}
