/** The task service with a stub of the user service, and a client of it. Importing it starts and stops both. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll } from '@jest/globals';
import createClient, { type Client } from 'openapi-fetch';
import { parse } from 'yaml';
import type { components, paths } from '../../../generated/task-service.d.ts';
import { serve, type TestService } from '@task-manager/testing/harness';
import { taskHandlers } from '../src/handlers.ts';
import { createUserClient, UserDirectory } from '../src/user-client.ts';
import { serveUsers } from './stub-users.ts';

export const contract = parse(
  readFileSync(new URL('../../../generated/task-service.yaml', import.meta.url), 'utf8'),
) as {
  components: {
    schemas: {
      Status: { enum: components['schemas']['Status'][] };
      Priority: { enum: components['schemas']['Priority'][] };
    };
  };
};

let users: Awaited<ReturnType<typeof serveUsers>>;
export let service: TestService;
export let api: Client<paths, 'application/json'>;

beforeAll(async () => {
  users = await serveUsers();
  service = await serve('task-service', (health) =>
    taskHandlers(health, new UserDirectory(createUserClient(users.url))),
  );
  api = createClient<paths, 'application/json'>({ baseUrl: service.url });
});
afterAll(async () => {
  users.stop();
  await service.stop();
});

export async function createTask(title: string): Promise<components['schemas']['Task']> {
  const { data } = await api.POST('/tasks', { body: { title } });
  if (!data) throw new Error('no task was created');
  return data;
}
