import { indexQueued } from '@task-manager/runtime/postgres/search';
import { runService } from '@task-manager/runtime/start';
import { userHandlers } from './handlers.ts';

await runService({
  name: 'user-service',
  folder: new URL('../', import.meta.url),
  handlers: ({ health }) => userHandlers(health),
  background: ({ db, logger }, signal) => indexQueued(db, 'users', ['name', 'email'], logger, signal),
});
