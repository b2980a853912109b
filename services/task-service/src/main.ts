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
  background: ({ config, db, logger }, signal) =>
    followUsers(createUserClient(config.USER_SERVICE_URL), db, logger, signal),
});
