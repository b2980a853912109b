/**
 * `npm run mcp -- [--write] [BASE_URL]`: lets an agent use the system at `BASE_URL`, `http://localhost:8080` by default, as
 * a server of the [Model Context Protocol](https://modelcontextprotocol.io) over stdio. Each operation of the contracts is
 * a tool; without `--write` only those that read. Arguments are validated by the services alone, whose problems tell the
 * agent what to mend.
 *
 * Standard output is the protocol's; what else there is to say goes to standard error. Ends when the client closes
 * standard input, and with 1 and one line when it is called wrongly.
 */
import { parseArgs } from 'node:util';
import { McpServer, ProtocolError, ProtocolErrorCode, type CallToolResult } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { readOffer, type Json, type Operation } from './mcp-tools.ts';

const { write, base } = readArguments();
const { version, instructions, ...offer } = await readOffer();
const operations = offer.operations.filter(({ method }) => write || method === 'GET');

serveStdio(() => {
  const mcp = new McpServer({ name: 'task-manager', version }, { capabilities: { tools: {} }, instructions });
  // Below its own registry of tools, which would validate the arguments too.
  mcp.server.setRequestHandler('tools/list', () => ({ tools: operations.map(({ tool }) => tool) }));
  mcp.server.setRequestHandler('tools/call', ({ params }, { mcpReq }) => {
    const operation = operations.find(({ tool }) => tool.name === params.name);
    if (operation) return call(operation, params.arguments ?? {}, mcpReq.signal);
    const hint = write ? '' : '; this server only reads, and has more with --write';
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool ${params.name}${hint}.`);
  });
  return mcp;
});
console.error(`npm run mcp: ${operations.length} tools that ${write ? 'read and write' : 'read'} ${base}`);

function readArguments(): { write: boolean; base: string } {
  try {
    const { values, positionals } = parseArgs({ options: { write: { type: 'boolean' } }, allowPositionals: true });
    const [url = 'http://localhost:8080'] = positionals;
    return { write: values.write ?? false, base: new URL(url).href.replace(/\/$/, '') };
  } catch (error) {
    console.error(`npm run mcp: ${(error as Error).message}: call it with [--write] [BASE_URL]`);
    process.exit(1);
  }
}

/** Does it over HTTP. What the service refuses is told in its own words: a problem. */
async function call(operation: Operation, values: Json, signal: AbortSignal): Promise<CallToolResult> {
  try {
    const answer = await fetch(requestOf(operation, values), { signal });
    const text = await answer.text();
    if (!answer.ok) return { isError: true, ...told(text) };
    if (!operation.hasBody) return told(operation.success);
    const structuredContent: Json = { body: JSON.parse(text) as unknown };
    for (const { name } of operation.headers) structuredContent[name] = answer.headers.get(name) ?? undefined;
    return { structuredContent, ...told(JSON.stringify(structuredContent)) };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
    return { isError: true, ...told(`No answer from ${base} (${cause?.code ?? message}). Does the system run there?`) };
  }
}

function told(text: string): { content: [{ type: 'text'; text: string }] } {
  return { content: [{ type: 'text', text }] };
}

/** What is no parameter goes into the query, where the service refuses it by name. */
function requestOf({ method, path, parameters, mediaType }: Operation, values: Json): Request {
  const headers = new Headers({ Accept: 'application/json' });
  const query = new URLSearchParams();
  let place = path;
  for (const [name, value] of Object.entries(values)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const parameter = parameters.find((each) => each.name === name);
    // These would lead to another address; `{taskId}` in place of them is refused.
    if (parameter?.in === 'path' && ['', '.', '..'].includes(text)) continue;
    if (parameter?.in === 'path') place = place.replace(`{${name}}`, encodeURIComponent(text));
    else if (parameter?.in === 'header') headers.set(name, text);
    else if (name !== 'body' || !mediaType) query.append(name, text);
  }
  if (mediaType) headers.set('Content-Type', mediaType);
  const body = mediaType ? JSON.stringify(values.body) : null;
  return new Request(`${base}${place}?${query.toString()}`, { method, headers, body });
}
