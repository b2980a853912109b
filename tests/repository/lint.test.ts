/** Breaks the contract once per rule of redocly.yaml and .spectral.yaml; the linter must report that rule. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, parseDocument } from 'yaml';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lint-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A rule, a place in the contract and a value that breaks the rule; undefined deletes the place. */
type Violation = [rule: string, place: string[], value?: unknown];

const register = ['paths', '/register', 'post'];
const list = ['paths', '/users', 'get'];
const user = ['paths', '/users/{userId}'];
const schemas = ['components', 'schemas'];
const responses = ['components', 'responses'];
const text = { type: 'string', description: 'A text.', maxLength: 10, pattern: '^a$', examples: ['a'] };

const problem = { type: '/problems/a', title: 'A', status: 404, detail: 'A.', instance: '/', requestId: 'a' };

const redocly: Violation[] = [
  [
    'no-invalid-media-type-examples',
    [...register, 'requestBody', 'content', 'application/json', 'examples', 'newcomer', 'value', 'email'],
    'nobody',
  ],
  ['no-invalid-parameter-examples', ['components', 'parameters', 'Limit', 'example'], 0],
  ['no-invalid-schema-examples', [...schemas, 'Time', 'examples'], ['2026-02-30T09:30:00.000Z']],
  ['operation-description', [...list, 'description']],
  ['operation-singular-tag', [...list, 'tags'], ['Users', 'Events']],
  ['parameter-description', ['components', 'parameters', 'Limit', 'description']],
  ['tag-description', ['tags', '0', 'description']],
  ['scalar-property-missing-example', [...schemas, 'Problem', 'properties', 'title', 'examples']],
  ['rule/summary-is-imperative', [...list, 'summary'], 'Lists users'],
  ['rule/summary-is-imperative', [...list, 'summary'], 'List users.'],
  ['rule/summary-is-imperative', [...list, 'summary'], 'List all of the users there'],
  ['rule/body-has-example', [...schemas, 'UserPage', 'example']],
  ['rule/parameter-has-example', ['components', 'parameters', 'Limit', 'example']],
  ['rule/header-has-example', ['components', 'headers', 'ETag', 'example']],
  ['paths-kebab-case', ['paths', '/usersFeed'], {}],
  ['rule/operation-id-camel-case', [...list, 'operationId'], 'list_users'],
  ['rule/property-camel-case', [...schemas, 'NewUser', 'properties', 'nick_name'], text],
  [
    'rule/enum-lower-case',
    [...schemas, 'UserEvent', 'properties', 'type', 'enum'],
    ['user.registered', 'USER_DELETED'],
  ],
  ['rule/object-is-closed', [...schemas, 'UserEvent', 'properties', 'data', 'additionalProperties']],
  ['rule/nothing-additional', [...schemas, 'NewUser', 'additionalProperties'], true],
  ['contract/answered-properties-required', [...schemas, 'UserEvent', 'properties', 'data', 'required'], ['id']],
  ['contract/answered-properties-required', [...schemas, 'InvalidPlace', 'required'], ['pointer', 'detail']],
  [
    'rule/list-is-a-page',
    [...list, 'responses', '200', 'content', 'application/json', 'schema'],
    { type: 'array', maxItems: 1, items: text, example: ['a'] },
  ],
  ['rule/status-is-explicit', [...list, 'responses', 'default'], { $ref: '#/components/responses/InternalError' }],
  ['rule/error-has-content', [...responses, 'NotFound', 'content']],
  [
    'rule/error-is-problem-json',
    [...responses, 'NotFound', 'content'],
    { 'application/json': { schema: { $ref: '#/components/schemas/Problem' }, example: problem } },
  ],
  ['rule/error-is-problem', [...responses, 'NotFound', 'content', 'application/problem+json'], { schema: text }],
  ['response-contains-header', [...responses, 'Unavailable', 'headers', 'Retry-After']],
  ['response-contains-header', [...responses, 'TooManyRequests', 'headers', 'Retry-After']],
  ['response-contains-header', [...responses, 'NotFound', 'headers', 'X-Request-Id']],
  ['response-contains-header', [...responses, 'NotModified', 'headers', 'Cache-Control']],
  ['response-contains-header', [...user, 'delete', 'responses', '204', 'headers', 'Cache-Control']],
  ['rule/created-has-location', [...register, 'responses', '201', 'headers', 'Location']],
  ['rule/header-is-always-sent', [...register, 'responses', '201', 'headers', 'Location', 'required'], false],
  ['rule/header-is-always-sent', ['components', 'headers', 'Retry-After', 'required']],
  ['rule/post-takes-idempotency-key', [...register, 'parameters']],
  ['rule/post-takes-idempotency-key', [...register, 'parameters'], [{ $ref: '#/components/parameters/IfMatch' }]],
  ['rule/change-takes-if-match', [...user, 'patch', 'parameters']],
  ['rule/change-takes-if-match', [...user, 'delete', 'parameters'], [{ $ref: '#/components/parameters/IfNoneMatch' }]],
];

const spectral: Violation[] = [
  ['owasp:api4:2023-rate-limit', [...list, 'responses', '200', 'headers', 'RateLimit']],
  ['owasp:api4:2023-rate-limit-responses-429', [...list, 'responses', '429']],
  ['owasp:api4:2023-string-limit', [...schemas, 'NextCursor', 'maxLength']],
  ['owasp:api4:2023-array-limit', [...schemas, 'UserPage', 'properties', 'items', 'maxItems']],
  ['owasp:api4:2023-integer-limit', [...schemas, 'Version', 'maximum']],
  ['owasp:api4:2023-integer-format', ['components', 'parameters', 'Limit', 'schema', 'format']],
  ['oas3-valid-media-example', ['components', 'headers', 'ETag', 'example'], 'no quotes'],
  ['oas3-valid-media-example', ['components', 'headers', 'Retry-After', 'example'], 0],
];

describe('redocly.yaml', () => {
  let found: Map<string, string[]>;
  beforeAll(async () => {
    const files = writeViolations('redocly', redocly);
    // No operation refers to the responses for unmatched requests.
    const report = await run('redocly', ['lint', '--format=checkstyle', '--skip-rule=no-unused-components', ...files]);
    found = byFile(report);
  }, 120_000);

  it.each(redocly.map(([rule, place], index) => [rule, place.join(' '), index] as const))(
    'reports %s: %s',
    (rule, _, index) => {
      expect(found.get(`redocly-${index}.yaml`)).toEqual([rule]);
    },
  );

  it('has no rule without a violation in this test', async () => {
    const config = parse(await readFile(`${root}redocly.yaml`, 'utf8')) as Record<string, Record<string, unknown>>;
    const rules = { ...config.rules, ...config.oas3_1Rules };
    const enabled = Object.keys(rules).filter((rule) => rules[rule] !== 'off');
    expect([...new Set(redocly.map(([rule]) => rule))].sort()).toEqual(enabled.sort());
  });
});

describe('.spectral.yaml', () => {
  let found: { code: string; source: string }[];
  beforeAll(async () => {
    const files = writeViolations('spectral', spectral);
    found = JSON.parse(await run('spectral', ['lint', '--quiet', '--format=json', ...files])) as typeof found;
  }, 120_000);

  it.each(spectral.map(([rule, place], index) => [rule, place.join(' '), index] as const))(
    'reports %s: %s',
    (rule, _, index) => {
      const rules = found.filter(({ source }) => source.endsWith(`spectral-${index}.yaml`)).map(({ code }) => code);
      expect(rules).toContain(rule);
    },
  );
});

/** Writes one contract per violation; returns the paths. */
function writeViolations(linter: string, violations: Violation[]): string[] {
  const contract = readFileSync(`${root}generated/user-service.yaml`, 'utf8');
  return violations.map(([, place, value], index) => {
    const document = parseDocument(contract);
    if (value === undefined) document.deleteIn(place);
    else document.setIn(place, document.createNode(value));
    const file = join(folder, `${linter}-${index}.yaml`);
    writeFileSync(file, document.toString({ lineWidth: 0 }));
    return file;
  });
}

/** The output of a linter; a non-zero exit code is expected. */
function run(linter: string, parameters: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(`${root}node_modules/.bin/${linter}`, parameters, { cwd: root, maxBuffer: 1e8 }, (_error, stdout) => {
      resolve(stdout);
    });
  });
}

/** The reported rules per file of a Checkstyle report. */
function byFile(report: string): Map<string, string[]> {
  const files = report.split('<file name="').slice(1);
  return new Map(
    files.map((part) => [
      basename(part.slice(0, part.indexOf('"'))),
      [...new Set([...part.matchAll(/ source="(.*?)"/g)].map(([, rule = '']) => rule))],
    ]),
  );
}
