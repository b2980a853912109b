/**
 * `npm run mcp -- [--write] [BASE_URL]`: a server of the [Model Context Protocol](https://modelcontextprotocol.io) over
 * stdio, for the system at `BASE_URL`, `http://localhost:8080` by default. Each operation of the contracts is a tool;
 * without `--write` only the reading ones. Only the services validate arguments; their problems say what to correct.
 *
 * Standard output belongs to the protocol; messages go to standard error. Exits when the client closes standard input,
 * and with 1 and one line when its arguments are invalid.
 */
import { parseArgs } from 'node:util';
import { McpServer, ProtocolError, ProtocolErrorCode, type CallToolResult } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { readToolset, type Json, type Operation } from './mcp-tools.ts';

const { write, base } = readArguments();
const { version, instructions, ...toolset } = await readToolset();
const operations = toolset.operations.filter(({ method }) => write || method === 'GET');

serveStdio(() => {
  const mcp = new McpServer({ name: 'task-manager', version }, { capabilities: { tools: {} }, instructions });
  // Bypasses the SDK's registry of tools, which would validate the arguments too.
  mcp.server.setRequestHandler('tools/list', () => ({ tools: operations.map(({ tool }) => tool) }));
  mcp.server.setRequestHandler('tools/call', ({ params }, { mcpReq }) => {
    const operation = operations.find(({ tool }) => tool.name === params.name);
    if (operation) return call(operation, params.arguments ?? {}, mcpReq.signal);
    const hint = write ? '' : '; this server is read-only, start it with --write for more';
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool ${params.name}${hint}.`);
  });
  return mcp;
});
console.error(`npm run mcp: serving ${operations.length} ${write ? '' : 'read-only '}tools for ${base}`);

function readArguments(): { write: boolean; base: string } {
  try {
    const { values, positionals } = parseArgs({ options: { write: { type: 'boolean' } }, allowPositionals: true });
    const [url = 'http://localhost:8080'] = positionals;
    return { write: values.write ?? false, base: new URL(url).href.replace(/\/$/, '') };
  } catch (error) {
    console.error(`npm run mcp: ${(error as Error).message}. Usage: npm run mcp -- [--write] [BASE_URL]`);
    process.exit(1);
  }
}

/** Sends the request. A failed one returns the problem of the service. */
async function call(operation: Operation, values: Json, signal: AbortSignal): Promise<CallToolResult> {
  try {
    const answer = await fetch(requestOf(operation, values), { signal });
    const text = await answer.text();
    if (!answer.ok) return { isError: true, ...textContent(text) };
    if (!operation.hasBody) return textContent(operation.success);
    const structuredContent: Json = { body: JSON.parse(text) as unknown };
    for (const { name } of operation.headers) structuredContent[name] = answer.headers.get(name) ?? undefined;
    return { structuredContent, ...textContent(JSON.stringify(structuredContent)) };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
    return {
      isError: true,
      ...textContent(`No response from ${base} (${cause?.code ?? message}). Is the system running there?`),
    };
  }
}

function textContent(text: string): { content: [{ type: 'text'; text: string }] } {
  return { content: [{ type: 'text', text }] };
}

/** Unknown arguments go into the query, which the service rejects by name. */
function requestOf({ method, path, parameters, mediaType }: Operation, values: Json): Request {
  const headers = new Headers({ Accept: 'application/json' });
  const query = new URLSearchParams();
  let target = path;
  for (const [name, value] of Object.entries(values)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const parameter = parameters.find((each) => each.name === name);
    // These would change the path; the service rejects the `{taskId}` that remains.
    if (parameter?.in === 'path' && ['', '.', '..'].includes(text)) continue;
    if (parameter?.in === 'path') target = target.replace(`{${name}}`, encodeURIComponent(text));
    else if (parameter?.in === 'header') headers.set(name, text);
    else if (name !== 'body' || !mediaType) query.append(name, text);
  }
  if (mediaType) headers.set('Content-Type', mediaType);
  const body = mediaType ? JSON.stringify(values.body) : null;
  return new Request(`${base}${target}?${query.toString()}`, { method, headers, body });
}
