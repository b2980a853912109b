import { indexQueued } from '@task-manager/runtime/postgres/search';
import { runService } from '@task-manager/runtime/start';
import { variables } from './config.ts';
import { followUsers } from './follow-users.ts';
import { taskHandlers } from './handlers.ts';
import { createUserClient, UserDirectory } from './user-client.ts';

await runService({
  name: 'task-service',
  folder: new URL('../', import.meta.url),
  docs: 'task-manager',
  variables,
  handlers: ({ config, health }) => taskHandlers(health, new UserDirectory(createUserClient(config.USER_SERVICE_URL))),
  background: async ({ config, db, logger }, signal) => {
    await Promise.all([
      followUsers(createUserClient(config.USER_SERVICE_URL), db, logger, signal),
      indexQueued(db, 'tasks', ['title', 'description'], logger, signal),
    ]);
  },
});
