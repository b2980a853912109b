/** The format of the samples; tests/repository/docs.test.ts runs them. */
import { describe, expect, it } from '@jest/globals';
import { readContract } from '@task-manager/runtime/contract/document';
import { curl, samplesOf } from '@task-manager/runtime/docs/samples';

const { document, operations } = readContract(new URL('../../../generated/task-service.yaml', import.meta.url));

function operation(id: string) {
  const found = operations.find(({ operationId }) => operationId === id);
  if (!found) throw new Error(`The contract has no operation ${id}.`);
  return found;
}

function samples(id: string): string[] {
  return samplesOf(operation(id), document).map(({ source }) => source);
}

/** A TypeScript sample: the common preamble and a call. */
function typescript(call: string): string {
  return `import createClient from 'openapi-fetch';
import type { paths } from './generated/task-service.d.ts';

const api = createClient<paths>({ baseUrl: '$URL' });
${call}`;
}

const id = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';

describe('the samples', () => {
  it('have the language and label that Redoc shows', () => {
    expect(samplesOf(operation('listTasks'), document)).toMatchObject([
      { lang: 'Shell', label: 'curl' },
      { lang: 'TypeScript', label: 'TypeScript' },
    ]);
  });

  it('have only a URL when the operation needs no parameters', () => {
    expect(samples('listTasks')).toEqual([
      'curl $URL/tasks',
      typescript(`const { data, error } = await api.GET('/tasks');
if (error) throw new Error(error.detail);
console.log(data);
`),
    ]);
  });

  it('fill path parameters with their examples', () => {
    expect(samples('getTask')).toEqual([
      `curl $URL/tasks/${id}`,
      typescript(`const { data, error } = await api.GET('/tasks/{taskId}', {
  params: { path: { taskId: '${id}' } }
});
if (error) throw new Error(error.detail);
console.log(data);
`),
    ]);
  });

  it('send an update as a merge patch with If-Match', () => {
    const [shell, code] = samples('updateTask');
    expect(shell).toMatch(
      new RegExp(
        String.raw`^curl -X PATCH \$URL/tasks/${id} \\\n  -H 'Content-Type: application/merge-patch\+json' \\\n  -H 'If-Match: "\d+"' \\\n  -d '\{"[^']+\}'$`,
      ),
    );
    expect(code).toMatch(
      /api\.PATCH\('\/tasks\/\{taskId\}', \{\n {2}params: \{\n {4}path: .*\n {4}header: \{ 'If-Match'/,
    );
    expect(code).toMatch(/\n {2}body: \{/);
  });

  it('print nothing when the response has no body', () => {
    const [shell, code] = samples('deleteTask');
    expect(shell).toMatch(new RegExp(String.raw`^curl -X DELETE \$URL/tasks/${id}( \\\n  -H 'If-Match: "\d+"')?$`));
    expect(code).toContain('const { error } = await api.DELETE(');
    expect(code).toMatch(/throw new Error\(error\.detail\);\n$/);
  });

  it('send the whole body, nested values included', () => {
    const [shell, code] = samples('createTask');
    expect(shell).toMatch(
      /^curl -X POST \$URL\/tasks \\\n {2}-H 'Content-Type: application\/json' \\\n {2}-d '\{"title":/,
    );
    expect(code).toMatch(/await api\.POST\('\/tasks', \{\n? *body: \{/);
    expect(code).not.toContain('params');
    expect(samples('createTasks')[1]).not.toContain('[Object]');
  });

  it('quote shell metacharacters and encode path parameters', () => {
    const { requestBody, parameters, ...rest } = operation('createTask');
    const media = { schema: {}, examples: { one: { value: { title: `it's $HOME` } } } };
    const path = { ...parameters[0], in: 'path', name: 'id', example: 'a b/c', schema: {} } as never;
    const odd = { ...rest, path: '/tasks/{id}', parameters: [path], requestBody: { content: { 'text/odd': media } } };
    expect(curl(odd as never)).toBe(
      [
        'curl -X POST $URL/tasks/a%20b%2Fc',
        "  -H 'Content-Type: text/odd'",
        String.raw`  -d '{"title":"it'\''s $HOME"}'`,
      ].join(' \\\n'),
    );
    expect(requestBody).toBeDefined();
  });
});
