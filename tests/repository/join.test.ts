/** generated/task-manager.yaml, the contracts joined into one document. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { createConfig, lint } from '@redocly/openapi-core';
import { parse } from 'yaml';
import { services } from '@task-manager/dev/repository';
import { join } from '../../scripts/join.ts';

const fileOf = (name: string) => fileURLToPath(new URL(`../../generated/${name}.yaml`, import.meta.url));
const read = (name: string) => parse(readFileSync(fileOf(name), 'utf8')) as Document;
const joint = read('task-manager');

describe('generated/task-manager.yaml', () => {
  it('is valid, examples included', async () => {
    const rules = {
      struct: 'error',
      'no-unresolved-refs': 'error',
      'no-invalid-media-type-examples': 'error',
      'no-invalid-schema-examples': 'error',
      'no-invalid-parameter-examples': 'error',
      'operation-operationId-unique': 'error',
      'operation-tag-defined': 'error',
      'no-duplicated-tag-names': 'error',
      'no-ambiguous-paths': 'error',
    } as const;
    const problems = await lint({ ref: fileOf('task-manager'), config: await createConfig({ rules }) });
    expect(problems.map(({ message, location }) => `${location[0]?.pointer ?? ''}: ${message}`)).toEqual([]);
  });

  it('has each operation of each contract once, under the gateway path', () => {
    const expected = services.map(read).flatMap((contract) => {
      const prefix = contract.servers[0]?.url.replace(/\/$/, '') ?? '';
      return operationsIn(contract).map(({ method, path, summary }) => `${method} ${prefix}${path} ${summary}`);
    });
    const found = operationsIn(joint).map(({ method, path, summary }) => `${method} ${path} ${summary}`);
    expect(found.sort()).toEqual(expected.sort());
  });

  it('has every tag in one group and only links to its own operations', () => {
    const groups = joint['x-tagGroups'] as { tags: string[] }[];
    expect(groups.flatMap(({ tags }) => tags)).toEqual(joint.tags.map(({ name }) => name));
    const ids = new Set(operationsIn(joint).map(({ operationId }) => operationId));
    const linked = operationsIn(joint).flatMap(({ responses }) =>
      Object.values(responses).flatMap(({ links = {} }) => Object.values(links).map((link) => link.operationId)),
    );
    expect(linked.length).toBeGreaterThan(5);
    expect(linked.filter((id) => !ids.has(id))).toEqual([]);
  });

  it('has problem types with the prefix of their service', () => {
    for (const [path, item] of Object.entries(joint.paths)) {
      const refs = [...JSON.stringify(item).matchAll(/#\/components\/responses\/(\w+)/g)].map(([, name = '']) => name);
      const prefix = path.startsWith('/user/') ? '/user/problems/' : '/problems/';
      const shown = JSON.stringify(refs.map((name) => resolve(joint.components.responses?.[name], joint)));
      const types = [...shown.matchAll(/"type":"([^"]*\/problems\/[^"]*)"/g)].map(([, type = '']) => type);
      expect(types.length).toBeGreaterThan(2);
      expect(types.filter((type) => !type.startsWith(prefix))).toEqual([]);
    }
  });
});

describe('join', () => {
  const contract = (title: string, prefix: string, word: string) => ({
    openapi: '3.1.0',
    info: { title, version: '1', summary: 'Does it.' },
    servers: [{ url: prefix }],
    tags: [{ name: 'Health' }, { name: title }],
    paths: {
      '/health': {
        get: {
          operationId: 'getHealth',
          tags: ['Health'],
          responses: { 200: { $ref: '#/components/responses/Answer', links: { again: { operationId: 'getHealth' } } } },
        },
      },
    },
    components: {
      schemas: { Id: { type: 'string' }, Word: { const: word } },
      responses: { Answer: { content: { json: { schema: { $ref: '#/components/schemas/Word' } } } } },
      examples: { 'a-word': { value: word } },
    },
  });

  it('shares equal components and prefixes different ones with the service name', () => {
    expect(join([contract('Task service', '/', 'yes'), contract('User service', '/user', 'no')])).toMatchObject({
      tags: [{ name: 'Task service health' }, {}, { name: 'User service health' }, {}],
      paths: {
        '/health': { get: { operationId: 'getHealth', tags: ['Task service health'] } },
        '/user/health': {
          get: {
            operationId: 'getUserServiceHealth',
            tags: ['User service health'],
            responses: {
              200: {
                $ref: '#/components/responses/UserServiceAnswer',
                links: { again: { operationId: 'getUserServiceHealth' } },
              },
            },
          },
        },
      },
      components: {
        schemas: { Id: { type: 'string' }, Word: { const: 'yes' }, UserServiceWord: { const: 'no' } },
        responses: {
          Answer: { content: { json: { schema: { $ref: '#/components/schemas/Word' } } } },
          UserServiceAnswer: { content: { json: { schema: { $ref: '#/components/schemas/UserServiceWord' } } } },
        },
        examples: { 'a-word': { value: 'yes' }, 'user-service-a-word': { value: 'no' } },
      },
    });
  });
});

interface Document extends Record<string, unknown> {
  servers: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, unknown>>;
}
interface Operation {
  operationId?: string;
  summary: string;
  responses: Record<string, { links?: Record<string, { operationId: string }> }>;
}

function operationsIn({ paths }: Document): (Operation & { method: string; path: string })[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, operation]) =>
      operation.operationId ? [{ ...operation, method, path }] : [],
    ),
  );
}

/** Replaces each `$ref` to an example with the example. */
function resolve(value: unknown, { components }: Document): unknown {
  return JSON.parse(JSON.stringify(value), (_key, each: { $ref?: string } | null) =>
    each?.$ref?.startsWith('#/components/examples/') ? components.examples?.[each.$ref.split('/').at(-1) ?? ''] : each,
  );
}
