/** The server as a process over stdio, for a running system. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, type CallToolResult, type Tool } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import getPort from 'get-port';
import { parse } from 'yaml';
import { services } from '../src/repository.ts';
import { startSystem, type System } from '@task-manager/testing/system';

const mcp = fileURLToPath(new URL('../dist/mcp.js', import.meta.url));

let system: System;
let reader: Client;
let writer: Client;
/** Lines on standard output that are not messages of the protocol. */
const protocolErrors: Error[] = [];
beforeAll(async () => {
  system = await startSystem();
  reader = await connect(system.url);
  writer = await connect('--write', system.url);
});
afterAll(async () => {
  await reader.close();
  await writer.close();
  await system.stop();
  expect(protocolErrors).toEqual([]);
});

describe('npm run mcp', () => {
  it('lists each operation as a tool with the texts of its contract', async () => {
    const tools = await listTools(writer);
    const operations = services.flatMap(operationsOf);
    expect(tools.map(({ name }) => name.replace(/Of(Task|User)Service$/, ''))).toEqual(
      expect.arrayContaining(operations.map(({ operationId }) => operationId)),
    );
    expect(tools.map(({ title, description }) => [title, description]).sort()).toEqual(
      operations.map(({ summary, description }) => [summary, `${summary}\n\n${description}`]).sort(),
    );
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
    expect(writer.getInstructions()).toContain('With an `Idempotency-Key`, a POST is safe to retry.');
  });

  it('lists only reading tools unless it is started with --write', async () => {
    const isReading = ({ annotations }: Tool) => annotations?.readOnlyHint;
    const all = await listTools(writer);
    expect(await listTools(reader)).toEqual(all.filter(isReading));
    const writing = all.filter((tool) => !isReading(tool));
    expect(
      writing.map(({ name, annotations }) => [name, annotations?.destructiveHint, annotations?.idempotentHint]),
    ).toEqual([
      ['createTask', false, false],
      ['createTasks', false, false],
      ['updateTask', true, false],
      ['deleteTask', true, true],
      ['registerUser', false, false],
      ['updateUser', true, false],
      ['deleteUser', true, true],
    ]);
  });

  it('gives every tool complete, valid JSON Schemas', async () => {
    // Ajv's strict mode rejects `type: [string, null]` by default.
    const ajv = formats.default(new Ajv2020({ strict: true, allowUnionTypes: true }));
    for (const { inputSchema, outputSchema } of await listTools(writer)) {
      for (const schema of [inputSchema, outputSchema ?? {}] as object[]) {
        ajv.compile(schema);
        expect(JSON.stringify(schema)).not.toContain('$ref');
      }
    }
    const { inputSchema } = (await listTools(writer)).find(({ name }) => name === 'updateTask') ?? {};
    expect(Object.keys(inputSchema?.properties ?? {})).toEqual(['taskId', 'If-Match', 'body']);
    expect(inputSchema?.required).toEqual(['taskId', 'body']);
  });

  it('returns created tasks in the shape of the output schema', async () => {
    // The client validates structured content once it has the list.
    await listTools(writer);
    const { body: task } = await succeed(writer, 'createTask', { body: { title: 'From an agent', labels: ['mcp'] } });
    expect(task).toMatchObject({ title: 'From an agent', version: 1 });
    expect((await succeed(reader, 'listTasks', { label: 'mcp', limit: 10 })).body.items).toEqual([task]);
    expect((await succeed(reader, 'getTask', { taskId: task.id })).body).toEqual(task);
  });

  it('returns 412 when If-Match is stale', async () => {
    const { ETag, body } = await succeed(writer, 'createTask', { body: { title: 'Seen' } });
    const change = { taskId: body.id, 'If-Match': ETag, body: { status: 'done' } };
    expect((await succeed(writer, 'updateTask', change)).body.version).toBe(2);
    expect(await fail(writer, 'updateTask', change)).toMatchObject({ status: 412 });
  });

  it('replays the response when an Idempotency-Key is reused', async () => {
    const wish = { 'Idempotency-Key': 'mcp-1', body: { title: 'Only one' } };
    const first = await succeed(writer, 'createTask', wish);
    expect(await succeed(writer, 'createTask', wish)).toEqual({ ...first, 'Idempotent-Replayed': 'true' });
  });

  it('returns the description of the response when it has no body', async () => {
    const { body } = await succeed(writer, 'registerUser', { body: { name: 'Alice', email: 'alice@example.com' } });
    expect(await call(writer, 'deleteUser', { userId: body.id })).toMatchObject({
      content: [{ text: 'The user was deleted.' }],
    });
    expect(await fail(reader, 'getUser', { userId: body.id })).toMatchObject({ status: 404 });
  });

  it('returns an event as soon as it happens when `wait` is set', async () => {
    const { body: latest } = await succeed(reader, 'listTaskEvents', { cursor: 'latest' });
    const waiting = succeed(reader, 'listTaskEvents', { cursor: latest.nextCursor, wait: 20 });
    const { body: task } = await succeed(writer, 'createTask', { body: { title: 'Worth waiting for' } });
    expect((await waiting).body.items).toMatchObject([{ type: 'task.created', subject: task.id }]);
  });

  it.each([
    ['createTask', { body: { title: '' } }, '/body/title', 'minLength'],
    ['createTask', { title: 'In the wrong place', body: { title: 'Here' } }, '/query/title', 'unknown'],
    ['createTask', {}, '/body', 'json'],
    ['listTasks', { limit: 101 }, '/query/limit', 'maximum'],
    ['listTasks', { asignee: 'Bob' }, '/query/asignee', 'unknown'],
    ['listTasks', { 'If-None-Match': '"1"' }, '/query/If-None-Match', 'unknown'],
    ['getTask', {}, '/path/taskId', 'pattern'],
    ['getTask', { taskId: '..' }, '/path/taskId', 'pattern'],
    ['getTask', { taskId: '../user/users' }, '/path/taskId', 'pattern'],
  ])('returns the problem of %s with %j, at %s', async (name, values, pointer, code) => {
    const { status, errors } = await fail(writer, name, values);
    expect(status).toBe(400);
    expect(errors).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('rejects writing tools when it is read-only', async () => {
    await expect(call(reader, 'createTask', { body: { title: 'Forbidden' } })).rejects.toThrow('with --write');
    expect((await succeed(reader, 'listTasks', { q: 'Forbidden' })).body.items).toEqual([]);
  });

  it('returns an error when the system is not running', async () => {
    const url = `http://localhost:${await getPort()}`;
    const client = await connect(url);
    const { isError, content } = await call(client, 'listTasks');
    await client.close();
    expect(isError).toBe(true);
    expect(content).toEqual([
      { type: 'text', text: `No response from ${url} (ECONNREFUSED). Is the system running there?` },
    ]);
  });

  it('exits with 1 and its usage when an argument is invalid', () => {
    for (const args of [['--wirte'], ['here']]) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [mcp, ...args], { encoding: 'utf8' });
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^npm run mcp: .*\. Usage: npm run mcp -- \[--write\] \[BASE_URL\]\n$/);
    }
  });
});

async function connect(...args: string[]): Promise<Client> {
  const transport = new StdioClientTransport({ command: process.execPath, args: [mcp, ...args], stderr: 'ignore' });
  const client = new Client({ name: 'test', version: '1.0.0' });
  client.onerror = (error) => protocolErrors.push(error);
  await client.connect(transport);
  return client;
}

async function listTools(client: Client): Promise<Tool[]> {
  return (await client.listTools()).tools;
}

async function call(client: Client, name: string, values: Record<string, unknown> = {}): Promise<CallToolResult> {
  return await client.callTool({ name, arguments: values });
}

/** The structured content of a successful call. */
async function succeed(client: Client, name: string, values: Record<string, unknown> = {}): Promise<Answer> {
  const { isError, structuredContent } = await call(client, name, values);
  expect(isError).toBeFalsy();
  return structuredContent as Answer;
}

/** The problem of a failed call. */
async function fail(client: Client, name: string, values: Record<string, unknown> = {}): Promise<Problem> {
  const { isError, content } = await call(client, name, values);
  expect(isError).toBe(true);
  return JSON.parse((content[0] as { text: string }).text) as Problem;
}

interface Answer {
  ETag: string;
  body: { id: string; title: string; version: number; items: { id: string; subject: string }[]; nextCursor: string };
}

interface Problem {
  status: number;
  errors: { pointer: string; code: string }[];
}

interface ContractOperation {
  operationId: string;
  summary: string;
  description: string;
}

function operationsOf(service: string): ContractOperation[] {
  const contract = readFileSync(new URL(`../../../generated/${service}.yaml`, import.meta.url), 'utf8');
  const { paths } = parse(contract) as { paths: Record<string, Record<string, ContractOperation>> };
  return Object.values(paths).flatMap((item) => Object.values(item).filter((each) => each.operationId));
}
